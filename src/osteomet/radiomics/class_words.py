"""Two classes of lesions, and the words of a table that mean them."""

from __future__ import annotations

from dataclasses import dataclass

from osteomet.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class ClassWords:
    """The two classes that a recipe tells apart; the defaults are those of `wangh2024`.

    Parameters
    ----------
    label_column
        Column of the table of labels that holds the class.
    positive, negative
        The two classes.
    also_positive, also_negative
        Other words of the column that mean these classes.
    """

    label_column: str = "diagnosis"
    positive: str = "metastasis"
    negative: str = "primary"
    also_positive: tuple[str, ...] = ()
    also_negative: tuple[str, ...] = ("primary bone tumour",)

    @property
    def classes(self) -> tuple[str, str]:
        """The positive class and the other."""
        return self.positive, self.negative

    def words(self, which: int) -> tuple[str, ...]:
        """Words of the column that mean the positive (0) or the negative class (1)."""
        return ((self.positive, *self.also_positive), (self.negative, *self.also_negative))[which]

    @property
    def meanings(self) -> dict[str, str]:
        """Class that each word of the column means."""
        return {word: label for n, label in enumerate(self.classes) for word in self.words(n)}

    def check_words(self) -> None:
        """Refuse words that mean both classes or none; raises `UsageError`."""
        words = [*self.words(0), *self.words(1)]
        if len(set(words)) < len(words) or not all(words):
            raise UsageError("the words of positive and negative overlap or are empty", got=", ".join(map(repr, words)))
