"""Headers as scanners write them and the role a radiologist would give them."""

import pytest

from osteomet.core.vocabulary import SequenceRole as Role
from osteomet.io.sequence_roles import RULES, SequenceTags, decide_role

SPIN, GRADIENT, INVERSION, PLANAR = ("SE",), ("GR",), ("SE", "IR"), ("EP",)


def mr(description: str = "", times: tuple[float, float] | None = None, **tags: object) -> SequenceTags:
    repetition, echo = times or (None, None)
    fields = {"scanning_sequence": SPIN, "repetition_time_ms": repetition, "echo_time_ms": echo} | tags
    return SequenceTags(modality="MR", series_description=description, **fields)  # type: ignore[arg-type]


def vibe(description: str, *image_type: str, **tags: object) -> SequenceTags:
    fields = {"scanning_sequence": GRADIENT, "sequence_variant": ("SP",), "flip_angle_degree": 10.0} | tags
    return mr(description, (6.7, 2.4), image_type=("DERIVED", "PRIMARY", *image_type), **fields)


def ct(description: str = "", *image_type: str, **tags: object) -> SequenceTags:
    types = image_type or ("ORIGINAL", "PRIMARY", "AXIAL")
    return SequenceTags(modality="CT", series_description=description, image_type=types, **tags)  # type: ignore[arg-type]


EXPECTED: list[tuple[SequenceTags, Role | None]] = [
    # T1
    (mr("t1_tse_sag", (650, 11)), Role.T1),
    (mr("T1W_TSE", (500, 8)), Role.T1),
    (mr("OSag T1 FLAIR", (2600, 24), scanning_sequence=INVERSION, inversion_time_ms=900), Role.T1),
    (mr("sagittal lumbar", (550, 12)), Role.T1),
    (mr("Sag T1", (600, 10), protocol_name="LSPINE W WO CONTRAST"), Role.T1),
    (mr("T1 sag pre contrast", (600, 10), contrast_agent="Gadovist"), Role.T1),
    (mr("T1 TSE ohne KM", (600, 10), contrast_agent="Dotarem"), Role.T1),
    (mr("T1 sans injection", (600, 10)), Role.T1),
    (mr("", (600, 10), protocol_name="t1_tse_sag"), Role.T1),
    # T1 with fat suppression but without contrast medium shows marrow dark and is no T1
    (mr("t1_tse_fs_sag", (650, 11)), None),
    (vibe("t1_vibe_dixon_tra_W", "DIXON", "WATER"), None),
    # T1 after contrast medium
    (mr("T1 TSE FS post Gd", (650, 11)), Role.CE),
    (mr("t1_tse_sag_km", (650, 11)), Role.CE),
    (mr("SAG T1 FS +C", (650, 11)), Role.CE),
    (mr("T1 gado sag", (650, 11)), Role.CE),
    (mr("T1 con contraste", (650, 11)), Role.CE),
    (mr("T1 dopo mdc", (650, 11)), Role.CE),
    (mr("T1 SAG 增强", (650, 11)), Role.CE),
    (vibe("t1_vibe_fs_tra", contrast_agent="Gadovist"), Role.CE),
    (vibe("t1_vibe_dixon_tra_W", "DIXON", "WATER", contrast_agent="Gadovist"), Role.CE),
    # Dixon
    (vibe("t1_vibe_dixon_tra_in", "DIXON", "IN_PHASE"), Role.T1_IP),
    (vibe("t1_vibe_dixon_tra_in"), Role.T1_IP),
    (vibe("InPhase: Ax LAVA Flex"), Role.T1_IP),
    (vibe("t1_vibe_dixon_tra_opp", "DIXON", "OPP_PHASE"), None),
    (vibe("OutPhase: Ax LAVA Flex"), None),
    (vibe("t1_vibe_dixon_tra_F", "DIXON", "FAT"), Role.FO),
    (vibe("FAT: Ax LAVA Flex"), Role.FO),
    (vibe("mDIXON", "F", "F"), Role.FO),
    (vibe("mDIXON", "IP", "IP"), Role.T1_IP),
    (mr("T2 mDIXON TSE", (3500, 80), image_type=("DERIVED", "PRIMARY", "W", "W")), Role.STIR),
    (mr("T2 mDIXON TSE", (3500, 80), image_type=("DERIVED", "PRIMARY", "IP", "IP")), Role.T2),
    # A dual gradient echo at 1.5 T: fat and water are opposed at 2.3 ms, in phase at 4.6 ms
    (vibe("dual echo", n_echo_times=2, imaging_frequency_mhz=63.87, echo_time_ms=2.3), None),
    (vibe("dual echo", n_echo_times=2, imaging_frequency_mhz=63.87, echo_time_ms=4.6), Role.T1_IP),
    # T2 and STIR
    (mr("t2_tse_tra", (5660, 104)), Role.T2),
    (mr("lumbar sag", (3500, 100)), Role.T2),
    (mr("Sag T2 T10-L5", (3500, 100)), Role.T2),
    (mr("C2-T1 sag", (3500, 100)), Role.T2),
    (mr("whole spine T1-T12 STIR"), Role.STIR),
    (mr("T1 sag post op", (600, 10)), Role.T1),
    (mr("t2_tirm_sag", (4000, 60), scanning_sequence=INVERSION, inversion_time_ms=220), Role.STIR),
    (mr("Sag STIR"), Role.STIR),
    (mr("sag IR", (4500, 40), scanning_sequence=INVERSION, inversion_time_ms=150), Role.STIR),
    (mr("T2 TSE FS sag", (4000, 80)), Role.STIR),
    (mr("T2 sag", (4000, 80), scan_options=("FS",)), Role.STIR),
    # Diffusion
    (mr("ep2d_diff", (2700, 63), scanning_sequence=PLANAR, b_value_s_per_mm2=800), Role.DWI),
    (mr("ep2d_diff", (2700, 63), scanning_sequence=PLANAR, b_value_s_per_mm2=0), Role.DWI),
    (mr("DWI tra", (2700, 63), scanning_sequence=PLANAR), Role.DWI),
    (mr("ep2d_diff_ADC", image_type=("DERIVED", "PRIMARY", "DIFFUSION", "ADC")), Role.ADC),
    (mr("Apparent Diffusion Coefficient (mm2/s)"), Role.ADC),
    (mr("eADC"), None),
    (mr("ep2d_diff_FA", image_type=("DERIVED", "PRIMARY", "DIFFUSION", "FA")), None),
    (mr("t1_tse_sag", (650, 11), b_value_s_per_mm2=0), Role.T1),
    # Dynamic
    (vibe("t1_twist_dyn", phase=3), Role.DYNAMIC),
    (vibe("t1_vibe", phase=1), Role.DYNAMIC),
    (vibe("Ax DCE"), Role.DYNAMIC),
    # Set aside
    (mr("localizer"), None),
    (mr("Survey"), None),
    (mr("3-plane loc"), None),
    (mr("repérage"), None),
    (mr("T1 sag", (600, 10), image_type=("ORIGINAL", "PRIMARY", "LOCALIZER")), None),
    (vibe("t1_vibe_SUB", contrast_agent="Gadovist"), None),
    (vibe("T1 MIP", "PROJECTION IMAGE"), None),
    (mr("t1_tse_sag", (650, 11), image_type=("ORIGINAL", "PRIMARY", "P")), None),
    (mr("T1 map"), None),
    (mr("t2*_medic_tra", (800, 20), scanning_sequence=GRADIENT), None),
    (mr("T2 medic", (800, 20), scanning_sequence=GRADIENT), None),
    (mr("T2 FLAIR tra", (9000, 120), scanning_sequence=INVERSION, inversion_time_ms=2500), None),
    (mr("PD TSE FS", (3000, 30)), None),
    (mr("T1 sag", (4000, 100)), None),
    (mr("sag", (1300, 50)), None),
    (mr(""), None),
    (mr("T1 screenshot", samples_per_pixel=3), None),
    (SequenceTags(modality="PT"), None),
    (SequenceTags(modality="CT", is_image=False, sop_class="Secondary Capture Image Storage"), None),
    # CT
    (ct("CT Body 3.0", contrast_agent="APPLIED"), Role.CT),
    (ct("Br60 axial bone"), Role.CT),
    (ct("sag MPR", "DERIVED", "SECONDARY", "MPR"), Role.CT),
    (ct("Topogram 0.6"), None),
    (ct("", "ORIGINAL", "PRIMARY", "LOCALIZER"), None),
    (ct("MIP cor", "DERIVED", "SECONDARY", "AXIAL"), None),
    (ct("Iodine map", rescale_type="MGML"), None),
]


@pytest.mark.parametrize(("tags", "role"), EXPECTED, ids=lambda value: getattr(value, "series_description", None))
def test_role(tags: SequenceTags, role: Role | None) -> None:
    decision = decide_role(tags, n_slices=20)
    assert decision.role == role, decision.reason


def test_every_role_can_be_reached_by_a_rule_and_by_an_example() -> None:
    assert {rule.role for rule in RULES} - {None} == set(Role) == {role for _, role in EXPECTED} - {None}


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        (
            mr("t2_tse_tra", (5660, 104)),
            "T2-weighted: SeriesDescription 't2_tse_tra'; ScanningSequence SE; RepetitionTime 5660; EchoTime 104",
        ),
        (
            vibe("t1_vibe_dixon_tra_F", "DIXON", "FAT"),
            r"Dixon fat image: ImageType DERIVED\PRIMARY\DIXON\FAT; SeriesDescription 't1_vibe_dixon_tra_F'",
        ),
        (
            mr("ep2d_diff", b_value_s_per_mm2=800, sequence_name="*ep_b800t"),
            "diffusion: SeriesDescription 'ep2d_diff'; SequenceName '*ep_b800t'; DiffusionBValue 800",
        ),
        (
            mr("sag", (1300, 50)),
            "no rule knows this series: SeriesDescription 'sag'; ScanningSequence SE; RepetitionTime 1300; EchoTime 50"
            "; to use it pass --sequence ROLE=PATH",
        ),
        (mr("", scanning_sequence=()), "no rule knows this series; to use it pass --sequence ROLE=PATH"),
        (SequenceTags(modality="SR", sop_class="SR"), "not an image of CT or MR: Modality 'SR'; SOPClass 'SR'"),
    ],
)
def test_reason_names_rule_and_values(tags: SequenceTags, reason: str) -> None:
    assert decide_role(tags, n_slices=20).reason == reason


@pytest.mark.parametrize("n_slices", [0, 1])
def test_one_slice_is_no_volume(n_slices: int) -> None:
    decision = decide_role(ct(), n_slices=n_slices)
    assert decision.role is None
    assert decision.reason.startswith(f"{n_slices} slice makes no volume")


def test_a_localizer_of_one_slice_is_called_a_localizer() -> None:
    assert decide_role(ct("Topogram"), n_slices=1).reason.startswith("localizer: ")
