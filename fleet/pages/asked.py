"""What the form of a list asks for, as a frozen dataclass of texts whose names are the form's."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from typing import ClassVar, Self
from urllib.parse import urlencode

from django.http import HttpRequest

_LONGEST = 80


@dataclass(frozen=True)
class Asked:
    """`choices`: the words that a name may have; anything else counts as not asked."""

    choices: ClassVar[Mapping[str, Collection[str]]] = {}

    @classmethod
    def of(cls, request: HttpRequest) -> Self:
        asked = {
            field.name: request.GET.get(field.name, "").replace("\0", "").strip()[:_LONGEST]
            for field in fields(cls)
        }
        for name, words in cls.choices.items():
            if asked[name] not in words:
                asked[name] = ""
        return cls(**asked)

    @property
    def query(self) -> str:
        return urlencode({name: value for name, value in asdict(self).items() if value})
