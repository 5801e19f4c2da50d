from __future__ import annotations

from pathlib import Path

from core.config.folder import ModelsFolder, Problem, read_folder
from core.config.templates import TemplateKind, TemplateSource


def read(root: Path, text: str) -> ModelsFolder:
    (root / "m.yaml").write_text(f"name: m\n{text}")
    return read_folder(root)


def template(folder: ModelsFolder, kind: TemplateKind = "chat") -> TemplateSource:
    return folder.configs["m"].templates[kind]


def about_templates(folder: ModelsFolder) -> list[Problem]:
    return [problem for problem in folder.problems if (problem.key or "").startswith("template")]


def test_a_value_names_a_file_or_is_the_template_itself(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/chatml.tmpl").write_bytes(b"<{{.Input}}>\r\n")
    folder = read(tmp_path, "template:\n  chat: sub/chatml\n  completion: 'Q: {{.Input}}'\n")
    assert template(folder) == TemplateSource("<{{.Input}}>\r\n", str(tmp_path / "sub/chatml.tmpl"))
    inline = TemplateSource("Q: {{.Input}}", f"{tmp_path}/m.yaml: template.completion")
    assert template(folder, "completion") == inline
    assert not about_templates(folder)


def test_a_file_beside_the_weights_counts_where_the_yaml_names_none(tmp_path: Path) -> None:
    (tmp_path / "x.gguf.tmpl").write_text("own {{.Input}}")
    (tmp_path / "chatml.tmpl").write_text("named {{.Input}}")
    templates = read(tmp_path, "parameters: {model: x.gguf}\ntemplate: {chat: chatml}").configs["m"].templates
    assert {kind: source.text for kind, source in templates.items()} == {
        "chat": "named {{.Input}}",
        "completion": "own {{.Input}}",
        "edit": "own {{.Input}}",
    }


def test_a_download_has_its_template_beside_it_too(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    (tmp_path / "x.gguf.tmpl").write_text("{{.Input}}")
    assert template(read(tmp_path, "parameters: {model: 'hf://a/b/x.gguf'}")).text == "{{.Input}}"


def test_a_missing_file_is_an_error_with_its_line_and_leaves_other_templates_usable(tmp_path: Path) -> None:
    folder = read(tmp_path, "template:\n  chat: chatml\n  completion: '{{.Input}}'\n")
    [problem] = about_templates(folder)
    assert str(problem).startswith(f"{tmp_path}/m.yaml:3: template.chat: there is no file 'chatml.tmpl' in {tmp_path}")
    assert (problem.severity, problem.model) == ("error", "m")
    assert template(folder).problem == problem.message
    assert template(folder, "completion").problem is None


def test_in_strict_mode_the_name_is_the_template_and_that_is_told(tmp_path: Path) -> None:
    folder = read(tmp_path, "compat: strict\ntemplate: {chat: chatml}")
    assert template(folder).text == "chatml"
    assert template(folder).problem is None
    [problem] = about_templates(folder)
    assert problem.severity == "warning"
    assert "the prompt is this text" in problem.message


def test_a_mistake_in_a_file_is_told_with_that_files_line(tmp_path: Path) -> None:
    (tmp_path / "chatml.tmpl").write_text("one\ntwo {{if}}\n")
    folder = read(tmp_path, "template: {chat: chatml}")
    [problem] = about_templates(folder)
    assert (problem.file, problem.line, problem.key) == (str(tmp_path / "chatml.tmpl"), 2, "template.chat")
    assert problem.message.startswith("this is no Go template: ")


def test_a_mistake_in_the_yaml_is_told_with_the_yamls_line(tmp_path: Path) -> None:
    folder = read(tmp_path, "template:\n  chat: |\n    one\n    two {{if}}\n  completion: '{{nope}}'\n")
    assert [problem.line for problem in about_templates(folder)] == [5, 6]


def test_in_strict_mode_a_mistake_is_a_warning(tmp_path: Path) -> None:
    [problem] = about_templates(read(tmp_path, "compat: strict\ntemplate: {chat: '{{if}}'}"))
    assert problem.severity == "warning"
    assert "this template is passed over" in problem.message


def test_a_template_without_any_action_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "fixed.tmpl").write_text("Hello {Input}\n")
    folder = read(tmp_path, "template:\n  chat: fixed\n  completion: |\n    two\n    lines\n")
    assert ["has no {{...}} in it" in problem.message for problem in about_templates(folder)] == [True, True]


def test_a_mistake_in_a_file_of_several_kinds_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "x.gguf.tmpl").write_text("{{if}}")
    folder = read(tmp_path, "parameters: {model: x.gguf}")
    assert [problem.key for problem in about_templates(folder)] == ["template.chat"]
    assert template(folder, "completion").problem == template(folder).problem


def test_undecodable_bytes_are_replaced_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "old.tmpl").write_bytes(b"caf\xe9 {{.Input}}")
    folder = read(tmp_path, "template: {chat: old}")
    assert template(folder).text == "caf\N{REPLACEMENT CHARACTER} {{.Input}}"
    assert template(folder).problem is None
    assert [problem.severity for problem in about_templates(folder)] == ["warning"]


def test_templates_outside_the_folder_are_not_read_but_links_are(tmp_path: Path) -> None:
    root = tmp_path / "models"
    root.mkdir()
    (tmp_path / "secret.tmpl").write_text("{{.Input}}")
    (root / "link.tmpl").symlink_to("../secret.tmpl")
    folder = read(root, "template: {chat: ../secret, completion: link, edit: /secret}")
    outside = [problem for problem in about_templates(folder) if "leads outside the models folder" in problem.message]
    assert [problem.key for problem in outside] == ["template.chat", "template.edit"]
    assert template(folder, "completion").text == "{{.Input}}"


def test_huge_and_impossible_names_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "huge.tmpl").write_bytes(b"x" * 300_000)
    folder = read(
        tmp_path, f"template:\n  chat: huge\n  completion: '{'{{.Input}} ' * 100}'\n  edit: \"a\\0{{{{.Input}}}}\""
    )
    assert [problem.key for problem in about_templates(folder)] == ["template.chat"]
    assert "is longer than" in about_templates(folder)[0].message


def test_a_field_that_does_not_exist_is_an_error_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "c.tmpl").write_text("one\nA {{.Nope}}{{.Nope}}")
    folder = read(tmp_path, "template: {chat: c, chat_message: 'A {{.content}}'}")
    chat, message = about_templates(folder)
    assert (chat.severity, chat.line, chat.key) == ("error", 2, "template.chat")
    assert chat.message.startswith("there is no .Nope: write one of .SystemPrompt, ")
    assert (message.severity, message.key) == ("error", "template.chat_message")
    assert ".Content" in message.message
    assert template(folder).problem == chat.message


def test_a_field_that_a_condition_may_spare_is_a_warning_and_the_template_is_used(tmp_path: Path) -> None:
    folder = read(tmp_path, "template: {chat: '{{.Input}}{{if .Functions}}{{.Nope}}{{end}}'}")
    [problem] = about_templates(folder)
    assert problem.severity == "warning"
    assert template(folder).problem is None


def test_in_strict_mode_a_field_that_does_not_exist_is_a_warning(tmp_path: Path) -> None:
    [problem] = about_templates(read(tmp_path, "compat: strict\ntemplate: {chat: '{{.Nope}}'}"))
    assert (problem.severity, "passed over" in problem.message) == ("warning", True)


def test_a_name_with_its_suffix_is_told_to_do_without(tmp_path: Path) -> None:
    (tmp_path / "chatml.tmpl").write_text("{{.Input}}")
    [problem] = about_templates(read(tmp_path, "template: {chat: chatml.tmpl}"))
    assert "leave out .tmpl in 'chatml.tmpl'" in problem.message
    assert "there is no file" not in problem.message


def test_a_name_with_its_suffix_and_without_a_file_is_told_of_both(tmp_path: Path) -> None:
    [problem] = about_templates(read(tmp_path, "template: {chat: chatml.tmpl}"))
    assert f"there is no file 'chatml.tmpl' in {tmp_path}" in problem.message
    assert "leave out .tmpl in 'chatml.tmpl'" in problem.message


def test_a_long_text_is_not_repeated_in_what_is_said_of_it(tmp_path: Path) -> None:
    [problem] = about_templates(read(tmp_path, f"template: {{chat: {'x' * 5000}}}"))
    assert len(problem.message) < 500
