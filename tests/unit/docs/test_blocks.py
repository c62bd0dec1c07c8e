# SPDX-License-Identifier: Apache-2.0
"""Every code block of the documentation is accounted for: a test runs it, or it says why none does."""

from __future__ import annotations

import re

import pytest
import yaml

from hack.docs.blocks import DOCS, MARKS, ROOT, Block, blocks, pages

PAGES_WITH_TESTS_OF_THEIR_OWN = frozenset({"reference/conditions.md", "reference/immich-settings.md"})
"""Their examples are checked beside the code that they are about."""

ALL = [block for page in pages() if page not in PAGES_WITH_TESTS_OF_THEIR_OWN for block in blocks(page)]

NEED_REAL_CONTAINERS = {
    ("how-to/back-up-by-hand.md", "set -o pipefail"): "pg_dump in the database's container",
    ("how-to/back-up-by-hand.md", "kubectl exec deployment/photos-server --container=server"): "tar in the server's",
    ("how-to/external-database.md", "psql --host=postgres.databases"): "a PostgreSQL that answers",
    ("how-to/move-from-helm-or-compose.md", "kubectl scale deployment immich-server"): "an installation by the chart",
    (
        "how-to/move-from-the-go-operator.md",
        "kubectl get deployment photos-server",
    ): "an instance of the other operator",
    ("how-to/restore.md", "set -o pipefail"): "psql in the database's container",
    ("how-to/restore.md", "kubectl exec --stdin photos-filler --container=filler -- tar"): "tar in a container",
    ("how-to/restore.md", "for queue in thumbnailGeneration videoConversion"): "a server that answers",
    ("how-to/isolate-the-network.md", "kubectl run stranger"): "a network that enforces policies",
    ("how-to/rotate-passwords.md", "psql --host=postgres.databases"): "a PostgreSQL that answers",
    ("tutorials/first-instance.md", "kubectl port-forward service/photos-server"): "a server that answers",
}
"""{(page, how the block begins): what simulated pods lack}. tests/e2e/test_pages.py runs those that need no outside."""

NOT_OURS = {
    ("how-to/without-an-operator.md", "pip install ansible-core"): "tests/packaging/test_collection.py does it",
    ("how-to/grow-volumes.md", "kubectl patch persistentvolumeclaim my-photos"): "a claim of the reader's",
    ("how-to/install.md", "make docker-build"): "builds and pushes an image",
    ("how-to/operator-sdk.md", "docker build"): "builds and pushes an image",
    ("how-to/move-from-helm-or-compose.md", "docker compose stop"): "the machine that Compose runs on",
    ("explanation/data-safety.md", "kubectl get persistentvolumes"): "volumes of the reader's",
    ("explanation/limits.md", "groups:"): "a rule for Prometheus",
    ("how-to/gitops.md", "kubectl patch configmap argocd-cm"): "an Argo CD",
    ("index.md", "kubectl config set-context"): "the reader's kubeconfig",
    ("reference/commands.md", "immich-operator run"): "a usage line",
    ("reference/commands.md", "immich-operator render"): "a usage line",
    ("reference/commands.md", "immich-operator from-helm"): "a usage line",
    ("reference/commands.md", "immich-operator version"): "a usage line",
    ("reference/commands.md", "immich-operator completion"): "a usage line",
}
"""{(page, how the block begins): what it is}: nothing runs these."""


@pytest.mark.parametrize("block", ALL, ids=lambda block: block.where)
def test_a_block_says_what_becomes_of_it(block: Block) -> None:
    known = ", ".join(sorted(MARKS))

    assert block.mark in MARKS, f"{block.where}: put one of these on the line before the block: {known}"
    assert bool(block.argument) == (block.mark == "file"), f"{block.where}: a file has a name, other marks have none"


@pytest.mark.parametrize(
    ("mark", "listed"),
    [pytest.param("real", NEED_REAL_CONTAINERS, id="real"), pytest.param("elsewhere", NOT_OURS, id="elsewhere")],
)
def test_what_no_page_test_runs_is_listed_with_its_reason(mark: str, listed: dict[tuple[str, str], str]) -> None:
    marked = [block for block in ALL if block.mark == mark]

    unlisted = [block.where for block in marked if not any(_is(block, entry) for entry in listed)]
    gone = [entry for entry in listed if not any(_is(block, entry) for block in marked)]
    assert unlisted == []
    assert gone == []


@pytest.mark.parametrize("block", [b for b in ALL if b.language == "yaml"], ids=lambda block: block.where)
def test_yaml_on_a_page_is_yaml_that_people_can_read(block: Block) -> None:
    content = yaml.safe_load(block.text.replace(" !unsafe ", " "))  # a tag of Ansible's

    assert isinstance(content, dict | list), "an object, or a list of plays"
    assert "\t" not in block.text


@pytest.mark.parametrize("page", pages())
def test_a_command_in_a_container_names_the_container(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")

    commands = [command for command in re.findall(r"kubectl exec .*? -- ", text) if "--container=" not in command]

    assert commands == [], "kubectl would print which one it takes, between other lines or into a pipe"


@pytest.mark.parametrize("block", [b for b in ALL if "ON_ERROR_STOP" in b.text], ids=lambda block: block.where)
def test_a_dump_is_loaded_without_printing_what_its_statements_give(block: Block) -> None:
    assert "--quiet --output=/dev/null" in block.text, "--quiet alone leaves the results of set_config and setval"
    assert "echo 'The dump is loaded.'" in block.text


@pytest.mark.parametrize("page", pages())
def test_a_page_has_one_title_and_links_to_what_exists(page: str) -> None:
    text = re.sub(r"^ *```.*?^ *```$", "", (DOCS / page).read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)

    titles = re.findall(r"^# .+$", text, flags=re.MULTILINE)
    targets = [target for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target]
    missing = [target for target in targets if not (DOCS / page).parent.joinpath(target).exists()]
    assert len(titles) == 1
    assert missing == []


def test_the_navigation_has_every_page_once() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))

    listed = list(_leaves(settings["nav"]))

    assert sorted(listed) == pages()


@pytest.mark.parametrize(
    ("text", "mark", "argument"),
    [
        pytest.param("<!-- run -->\n```sh\ntrue\n```\n", "run", "", id="mark"),
        pytest.param("<!-- file: a.yaml -->\n```yaml\na: 1\n```\n", "file", "a.yaml", id="mark-with-name"),
        pytest.param("    <!-- run -->\n    ```sh\n    true\n    ```\n", "run", "", id="in-a-list"),
        pytest.param("<!-- run -->\n\n```sh\ntrue\n```\n", None, "", id="an-empty-line-between"),
        pytest.param("```sh\ntrue\n```\n", None, "", id="no-mark"),
    ],
)
def test_a_mark_stands_right_before_its_block(
    text: str, mark: str | None, argument: str, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "page.md").write_text(text, encoding="utf-8")
    monkeypatch.setattr("hack.docs.blocks.DOCS", tmp_path)

    (block,) = blocks("page.md")

    assert (block.mark, block.argument) == (mark, argument)
    assert not block.text.startswith(" ")


def test_a_block_without_an_end_is_an_error(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "page.md").write_text("# Title\n\n<!-- run -->\n```sh\ntrue\n", encoding="utf-8")
    monkeypatch.setattr("hack.docs.blocks.DOCS", tmp_path)

    with pytest.raises(ValueError, match=re.escape("docs/page.md:4: the block is not closed")):
        blocks("page.md")


def _is(block: Block, entry: tuple[str, str]) -> bool:
    page, beginning = entry
    return block.page == page and block.text.startswith(beginning)


def _leaves(nav: list[dict[str, object]]) -> list[str]:
    found: list[str] = []
    for entry in nav:
        for value in entry.values():
            found += _leaves(value) if isinstance(value, list) else [str(value)]
    return found
