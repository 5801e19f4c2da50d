"""Long texts with facts hidden in them, and the questions that ask for those.

The text comes first and the question last, so that a server which keeps prefixes reads each text once however much is
asked of it. Three tasks, after RULER's single and multi-key retrieval and variable tracking (arXiv 2404.06654), with
words of our own. Each asks for a number: of a thing that is told of once; of one person among many of whom the same is
told; and of one of whom it is only told whose number it is. There the answer may name both steps: a model of half a
billion parameters gave 1 right answer of 10 with the number alone, and 5 so.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

DEPTHS = (0, 25, 50, 75, 100)
"""Where in the text a fact stands, in percent."""
RETRIEVAL, LOOK_ALIKES, TRACKING = "retrieval", "look-alikes", "two-hop"
TASKS = (RETRIEVAL, LOOK_ALIKES, TRACKING)
FACTS_PER_DEPTH = 2
"""Of each task in one text."""
QUESTIONS_PER_TASK = FACTS_PER_DEPTH * len(DEPTHS)
"""In one text."""
CHANCE = 1 / QUESTIONS_PER_TASK
"""How often a model is right that knows the kind of fact and takes one of them."""

WHO = (
    "the harbour master", "a travelling clockmaker", "the baker's apprentice", "an old surveyor", "the ferryman",
    "a quiet librarian", "the mill owner", "a retired pilot", "the beekeeper", "the station keeper", "a young weaver",
)  # fmt: skip
DID = (
    "repaired the wooden gate", "counted the sacks in the barn", "wrote a long letter to the council",
    "painted the north wall of the boathouse", "carried lamps down to the landing", "sold a cart of winter apples",
    "looked for the key of the chapel", "drew a plan of the new canal", "listened to the wind in the chimney",
    "mended two nets and a sail", "read the almanac aloud", "planted willows along the ditch",
)  # fmt: skip
WHEN = (
    "before the market opened", "while it was still dark", "on the first dry day of spring", "after the evening bell",
    "as soon as the fog had lifted", "during the long frost", "when nobody else had time", "a week after the flood",
)  # fmt: skip
AND_THEN = (
    "and said nothing about it", "and went home by the lower road", "which surprised the whole street",
    "although the tools were borrowed", "and was thanked with bread and cheese", "so the meeting began late",
)  # fmt: skip
THINGS = (
    "the length of the old bridge", "the password of the wine cellar", "the price of the silver harp",
    "the age of the great oak", "the weight of the church bell", "the number on the blue bus",
    "the telephone number of the hospital", "the population of the island", "the height of the lighthouse",
    "the registration of the red tractor",
)  # fmt: skip
"""One for each fact: none is like another."""
NAMES = (
    "Ada", "Bruno", "Clara", "David", "Edith", "Felix", "Greta", "Henry", "Irene", "Jonas", "Karin", "Louis", "Marta",
    "Nadia", "Oscar", "Paula", "Robert", "Sonja", "Thomas", "Ursula", "Viktor", "Wanda", "Anton", "Bella", "Conrad",
    "Dora", "Ernest", "Frida", "Gustav", "Helen", "Ivan", "Julia", "Konrad", "Lydia", "Martin", "Nora",
)  # fmt: skip
INTRODUCTION = "Read this report and remember the numbers in it."
NUMBER_ONLY = "Answer with the number only."
GO_ON = "\n\nGo on with this report, in the same style and at length."


@dataclass(frozen=True)
class Question:
    task: str
    depth: int
    words: str
    answer: str

    def is_answered_by(self, text: str) -> bool:
        """Whether the number is among those in `text`, with or without thousands separators."""
        return self.answer in re.findall(r"\d+", re.sub(r"(?<=\d)[,.](?=\d)", "", text))


@dataclass(frozen=True)
class Haystack:
    """`num_sentences` does not count the facts."""

    text: str
    questions: tuple[Question, ...]
    num_sentences: int

    def asking(self, question: Question) -> str:
        return f"{self.text}\n\nQuestion: {question.words}"


def haystack(num_sentences: int, *, nonce: str, seed: str) -> Haystack:
    """`num_sentences` of filler with the facts between them. `nonce` opens it, so that no cache knows it. The facts
    depend on the seed alone: asked of texts of several lengths, the same questions differ in nothing else."""
    needles, questions = _facts(random.Random(seed))
    rng = random.Random(f"{seed}/{num_sentences}")
    sentences = [_filler(rng) for _ in range(num_sentences)]
    for depth in reversed(DEPTHS):
        place = round(depth / 100 * num_sentences)
        sentences[place:place] = needles[depth]
    return Haystack(_opened(nonce, sentences), tuple(questions), num_sentences)


def plain_text(num_sentences: int, *, nonce: str, seed: str) -> str:
    """The same without facts."""
    rng = random.Random(seed)
    return _opened(nonce, [_filler(rng) for _ in range(num_sentences)])


def _opened(nonce: str, sentences: Sequence[str]) -> str:
    return f"{nonce}: {INTRODUCTION} {' '.join(sentences)}"


def _facts(rng: random.Random) -> tuple[dict[int, list[str]], list[Question]]:
    """What is to be hidden at each depth, and the questions on it. The second step of a chain stands half the text away
    from the first, which its depth counts by."""
    things, names = iter(rng.sample(THINGS, len(THINGS))), iter(rng.sample(NAMES, len(NAMES)))
    numbers = map(str, rng.sample(range(10_000, 100_000), len(TASKS) * FACTS_PER_DEPTH * len(DEPTHS)))
    needles: dict[int, list[str]] = {depth: [] for depth in DEPTHS}
    questions = []
    for index, depth in enumerate(DEPTHS):
        elsewhere = DEPTHS[(index + len(DEPTHS) // 2) % len(DEPTHS)]
        for _ in range(FACTS_PER_DEPTH):
            thing, owner, first, second = next(things), next(names), next(names), next(names)
            single, alike, chained = next(numbers), next(numbers), next(numbers)
            needles[depth] += [
                f"{thing[0].upper()}{thing[1:]} is {single}.",
                f"The locker number of {owner} is {alike}.",
                f"The chest of {first} holds {chained} coins.",
            ]
            needles[elsewhere].append(f"{second} has the key to the chest of {first}.")
            to_whom = f"{second} has the key to whose chest, and how many coins does that chest hold?"
            questions += [
                Question(RETRIEVAL, depth, f"What is {thing}? {NUMBER_ONLY}", single),
                Question(LOOK_ALIKES, depth, f"What is the locker number of {owner}? {NUMBER_ONLY}", alike),
                Question(TRACKING, depth, to_whom, chained),
            ]
    return needles, questions


def _filler(rng: random.Random) -> str:
    sentence = " ".join(rng.choice(part) for part in (WHO, DID, WHEN, AND_THEN))
    return f"{sentence[0].upper()}{sentence[1:]}."
