"""The bench's client against answers of known shape."""

from __future__ import annotations

import asyncio

from bench.client import Client
from bench.record import RequestRecord
from bench.sample import Sample
from bench.scenario import Workload
from bench.sse import EventLines
from bench.stages import Closed, Prompts
from bench.transport.http import HttpTransport
from tests.bench_stub import DONE, ROLE, StubServer, delta, event, usage

STAGE = Closed(name="s", concurrency=1, requests=1, prompts=Prompts(isl=16, osl=3))


def ask(server: StubServer, workload: Workload | None = None) -> RequestRecord:
    """Send one request to the stub and return its record."""

    async def send() -> RequestRecord:
        async with server.running():
            client = Client(
                HttpTransport(server.url), model="m", workload=workload or Workload(), extra={"ignore_eos": True}
            )
            record = Sample("stub", STAGE, 0).new_record()
            await client.send("hello", record)
            await client.close()
            return record

    return asyncio.run(send())


def answer(*blocks: bytes, status: int = 200) -> RequestRecord:
    return ask(StubServer(blocks, status=status))


def test_an_early_role_chunk_is_not_the_first_token() -> None:
    record = answer(ROLE, delta(content="a"), delta(content="b", finish="length"), usage(20, 2), DONE)
    assert record.ok
    assert len(record.chunks) == 2
    assert record.t_first_byte is not None
    assert record.t_first_tok is not None
    assert record.t_first_byte < record.t_first_tok


def test_moments_are_in_order() -> None:
    record = answer(ROLE, delta(content="a"), delta(content="b"), usage(20, 2), DONE)
    moments = [record.t_sched, record.t_send, record.t_first_byte, record.t_first_tok, record.t_last_tok, record.t_end]
    known = [moment for moment in moments if moment is not None]
    assert len(known) == len(moments)
    assert known == sorted(known)


def test_tokens_are_the_servers_count_when_chunks_are_bundled() -> None:
    record = answer(ROLE + delta(content="a") + delta(content="b c d"), usage(20, 4, cached=5) + DONE)
    assert (record.isl, record.osl, record.cached, record.token_source) == (20, 4, 5, "usage")
    assert len(record.chunks) == 2
    assert record.finish is None


def test_without_usage_chunks_are_counted_and_the_record_says_so() -> None:
    record = answer(delta(content="a"), delta(content="b", finish="stop"), DONE)
    assert (record.osl, record.token_source, record.finish) == (2, "chunks", "stop")


def test_a_character_split_between_blocks_stays_one_piece_of_text() -> None:
    whole = delta(content="é日")
    for cut in range(1, len(whole)):
        record = answer(whole[:cut], whole[cut:], usage(20, 1), DONE)
        assert (record.ok, len(record.chunks)) == (True, 1)


def test_an_error_event_in_mid_stream_is_an_error() -> None:
    record = answer(ROLE, delta(content="a"), event({"error": {"message": "decode failed"}}), DONE)
    assert not record.ok
    assert "decode failed" in str(record.err)
    assert record.t_first_tok is not None


def test_a_stream_that_breaks_off_is_an_error() -> None:
    assert answer(delta(content="a")).err == "the stream broke off before [DONE]"


def test_an_end_mark_without_a_line_end_counts() -> None:
    assert answer(delta(content="a"), DONE.strip()).ok


def test_a_stream_without_text_is_an_error() -> None:
    assert answer(ROLE, usage(20, 0), DONE).err == "the stream held no text"


def test_data_that_is_not_json_is_an_error() -> None:
    assert "JSONDecodeError" in str(answer(b"data: {\n\n", DONE).err)


def test_a_refusal_keeps_status_and_words() -> None:
    record = answer(b'{"error": {"message": "busy"}}', status=429)
    assert record.status == 429
    assert "busy" in str(record.err)


def test_a_server_that_is_not_there_is_an_error_of_the_request() -> None:
    server = StubServer([])

    async def send() -> RequestRecord:
        async with server.running():
            pass
        client = Client(HttpTransport(server.url), model="m", workload=Workload(), extra={})
        record = Sample("stub", STAGE, 0).new_record()
        await client.send("hello", record)
        await client.close()
        return record

    assert "ClientConnectorError" in str(asyncio.run(send()).err)


def test_reasoning_counts_as_text() -> None:
    assert len(answer(delta(reasoning_content="hm"), delta(content="a"), DONE).chunks) == 2


def test_timings_of_the_server_are_kept() -> None:
    timings = {"prompt_n": 20, "prompt_ms": 100.0, "cache_n": 3, "queue_ms": 1.5}
    record = answer(delta(content="a"), event({"choices": [], "timings": timings}), DONE)
    assert (record.prefill_tok_s, record.cached, record.queue_ms) == (200.0, 3, 1.5)


def test_the_request_asks_for_usage_and_carries_the_sampling() -> None:
    server = StubServer([delta(content="a"), DONE])
    ask(server)
    (body,) = server.bodies
    assert body["messages"] == [{"role": "user", "content": "hello"}]
    assert body["stream_options"] == {"include_usage": True}
    assert (body["max_tokens"], body["temperature"], body["seed"], body["ignore_eos"]) == (3, 0.0, 7, True)


def test_completions_are_asked_and_read_in_their_own_shape() -> None:
    server = StubServer([event({"choices": [{"text": "a", "finish_reason": "length"}]}), DONE])
    record = ask(server, Workload(api="completions"))
    assert (record.ok, record.finish, server.bodies[0]["prompt"]) == (True, "length", "hello")


def test_lines_are_whole_however_the_blocks_are_cut() -> None:
    stream = b": comment\r\ndata: \xc3\xa9\r\n\r\nevent: x\ndata:[DONE]\n\n"
    for size in range(1, len(stream) + 1):
        lines = EventLines()
        blocks = [stream[start : start + size] for start in range(0, len(stream), size)]
        assert [data for block in blocks for data in lines.feed(block)] + lines.end() == ["é", "[DONE]"]
