"""The text of a message whose content is a list of parts, with LocalAI's placeholders for images, audio and video."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from core.prompt.config_template import ConfigTemplate
from core.prompt.gotemplate import GoTemplate

DEFAULT_TEMPLATE = (
    "{{range .Audio}}<__media__>{{end}}{{range .Images}}<__media__>{{end}}{{range .Video}}[vid-{{.ID}}]{{end}}{{.Text}}"
)
_FIELD_BY_TYPE = {"image_url": "Images", "audio_url": "Audio", "input_audio": "Audio", "video_url": "Video"}


class MediaText:
    """Renders with `template.multimodal`, or LocalAI's default where there is none."""

    def __init__(self, template: ConfigTemplate | None) -> None:
        self._template = template or GoTemplate(DEFAULT_TEMPLATE)

    def contents(self, messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        """Each message's content as text; media are numbered through the whole conversation, by kind."""
        seen = {"Audio": 0, "Images": 0, "Video": 0}
        for message in messages:
            content = message.get("content")
            yield self._render(content, seen) if isinstance(content, list) else content or ""

    def _render(self, parts: Sequence[Mapping[str, Any]], seen: dict[str, int]) -> str:
        media: dict[str, list[dict[str, int]]] = {field: [] for field in seen}
        for part in parts:
            if field := _FIELD_BY_TYPE.get(part["type"]):
                media[field].append({"ID": seen[field]})
                seen[field] += 1
        text = "".join(part["text"] for part in parts if part["type"] == "text")
        printed = self._template.render({"Text": text} | {field: items or None for field, items in media.items()})
        return text if printed is None else printed
