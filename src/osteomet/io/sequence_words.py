"""Words by which radiographers name sequences, in the languages of the sites we know of."""

from __future__ import annotations

import re

_PATTERNS: dict[str, tuple[str, ...]] = {
    "localizer": (
        r"localizer|localiser|\bloc\b|scout|survey|topogram|surview|scanogram|pilot|\b3 ?(plane|pl)\b",
        r"rep[eé]rage|[uü]bersicht|定位",
    ),
    "projection": (r"\b(mip|minip|mnip|vrt?|volume rendering)\b",),
    "subtraction": (r"\b(sub|subtracted|subtraction|subtraktion|soustraction|sottrazione|sustracci[oó]n)\b",),
    "t1": (r"\bt1(?!\d|\*| ?map| ?rho)",),
    "t2": (r"\bt2(?!\d|\*| ?star| ?map)",),
    "proton density": (r"\b(pdw?|dp)\b|proton density",),
    "flair": (r"flair",),
    "t2 star": (r"\bt2 ?(\*|star)|\b(t2s|swi)\b",),
    "stir": (r"\b(t?stir|tirm|tir|tse ir)\b",),
    "diffusion": (r"\b(d?dwi?\w*|diff\w*|difus[aã]o|difusi[oó]n|resolve)\b|扩散|弥散|擴散|拡散",),
    "adc": (r"\bd?adc\w*\b|apparent diffusion",),
    "map": (
        r"\be ?adc\b|exponential|anisotropy|fat ?fraction|\bpdff\b",
        r"\b(t1|t2 ?\*?|r2 ?\*?|b0|b1) ?map\b",
    ),
    "dynamic": (
        r"\b(dyn\w*|dce|perf\w*|twist\w*|tricks|disco|multi ?phase|din[aá]mic\w*)\b",
        r"动态|動態|ダイナミック",
    ),
    "fat saturated": (
        r"\b(fs|fat ?sat\w*|fat ?sup\w*|spair|spir|chess|saturation|q ?fat|sat graisse)\b",
        r"脂肪抑制|压脂",
    ),
    "not enhanced": (
        r"\b(pre|without|w ?o|non ?contrast|unenhanced|plain)\b",
        r"\b(native?|nativo|ohne|sans|senza|sin|sem|zonder)\b|平扫",
    ),
    "enhanced": (
        r"\bc ?\+|\+ ?(c|gd|gad\w*|km)\b",
        r"\b(ce|post(?! ?op)|gd|gad\w*|km|mdc|civ|inj\w*|contrast\w*|kontrast\w*)\b|增强|增強|造影",
    ),
    "dixon": (r"dixon|ideal|lava|flash|\b(vibe|dual|fl[23]d|wfs|iop)\b",),
    "in phase": (r"\bin ?phase\b",),
    "in": (r"\b(in|ip|inph\w*)\b",),
    "opposed phase": (r"\bout(?: of)? ?phase\b|\bopp?osed\b",),
    "opposed": (r"\b(opp?|opph\w*|out|outph\w*)\b",),
    "fat only": (r"\bfat ?(only|image)\b|^ ?fat (?!sat|sup)|\bfett ?bild\b",),
    "fat": (r"\b(f|fat|fett|graisse|grasa|grasso)\b(?! ?(sat|sup))",),
    "water only": (r"\bwater ?(only|image)?\b|\bwasser\b",),
    "water": (r"\bw\b(?! o\b)",),
}

_LEVEL_RANGE = re.compile(r"\b[ctls]\d{1,2}\s*(?:-|–|to|bis)\s*[ctls]\d{1,2}\b")
"""Vertebral levels such as C2-T1, whose T1 is no weighting."""


def says(text: str, phrase: str) -> bool:
    """Tell whether a description uses one of the words for ``phrase``, a key of the table of this module.

    Case does not matter, punctuation other than ``*`` and ``+`` parts words, and ranges of vertebral levels are passed
    over.

    Examples
    --------
    >>> says("T2_TSE_sag", "t2"), says("t2*-medic", "t2"), says("Sag C2-T1", "t1")
    (True, False, False)
    """
    words = re.sub(r"[^\w*+]+|_", " ", _LEVEL_RANGE.sub(" ", text.lower())).strip()
    return any(re.search(pattern, words) for pattern in _PATTERNS[phrase])
