from osteomet.report.training_charts import Curve, training_chart


def titles(curves: dict[str, Curve]) -> list[str]:
    return [axes.get_ylabel() for axes in training_chart(curves).axes]


def test_panels_without_a_curve_are_left_out() -> None:
    loss, dice = [(1, 1.0), (2, 0.5)], [(2, 0.9)]
    assert titles({"loss": loss, "pseudo_dice": dice}) == ["Loss", "Pseudo-Dice of patches"]
    assert titles({"loss": loss, "validation dice": dice}) == ["Loss", "Dice of whole images"]
