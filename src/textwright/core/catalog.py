"""Tables of plug-ins: name -> where it is, imported when it is asked for. A new one is a file and a row.

Rows come from Textwright, from whoever adds some (a test, a notebook), and from installed packages: an entry point of
the group ``textwright.KIND`` is a row, such as ``gru = "my_package.gru:FAMILY"`` of ``textwright.families``.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from textwright.core.errors import InputError, unknown_name


class Catalog(Mapping[str, str]):
    """The rows of one kind of plug-in, each ``module:name``.

    Args:
        kind: what one of them is called, in errors.
        group: the entry points that are rows too.
        rows: Textwright's own.
    """

    def __init__(self, kind: str, group: str, rows: Mapping[str, str]) -> None:
        self._kind, self._group, self.rows = kind, group, dict(rows)

    def load(self, name: str) -> Any:
        """What the row ``name`` leads to.

        Raises:
            InputError: there is no such row, or it leads nowhere.
        """
        if name not in self:
            raise unknown_name(self._kind, name, self)
        module, _, attribute = self[name].partition(":")
        try:
            return getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            what = f"the {self._kind} {name!r} leads to {self[name]}, which cannot be loaded: {error}"
            raise InputError(what, where=f"the table of {self._group}") from error

    def __getitem__(self, name: str) -> str:
        if name in self.rows:
            return self.rows[name]
        return self._of_packages()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._of_packages() | self.rows)

    def __len__(self) -> int:
        return len(self._of_packages() | self.rows)

    def _of_packages(self) -> dict[str, str]:
        """Rows of other packages; one of Textwright's own name does not take its place."""
        return {point.name: point.value for point in entry_points(group=self._group)}
