"""The course's own facts, from course.toml: repositories, data, what notebooks may import."""

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources


@dataclass(frozen=True)
class DataSet:
    """What DATA.md says of the data behind one loader."""

    loader: str
    title: str
    what: str
    source: str
    licence: str
    stand_in: str


@dataclass(frozen=True)
class Course:
    """The facts of course.toml.

    Attributes:
        public_repository: owner/name of what students see; the badges name it.
        source_repository: owner/name of what holds the solutions; no notebook names it.
        imports: packages that release notebooks may import besides the standard library.
        data: by the name of the loader in the reference.
    """

    title: str
    public_repository: str
    branch: str
    source_repository: str
    imports: frozenset[str]
    data: dict[str, DataSet]

    def colab_url(self, name: str) -> str:
        """Where Colab opens an assignment's release notebook."""
        return (
            f"https://colab.research.google.com/github/{self.public_repository}"
            f"/blob/{self.branch}/{name}/{name}.ipynb"
        )

    def badge(self, name: str) -> str:
        """The Colab badge of an assignment, in Markdown."""
        return (
            "[![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
            f"({self.colab_url(name)})"
        )


@lru_cache(maxsize=1)
def load_course() -> Course:
    """Read course.toml."""
    text = (resources.files("vae_course.authoring") / "course.toml").read_text(encoding="utf-8")
    facts = tomllib.loads(text)
    data = {loader: DataSet(loader, **known) for loader, known in facts.pop("data").items()}
    return Course(imports=frozenset(facts.pop("imports")), data=data, **facts)
