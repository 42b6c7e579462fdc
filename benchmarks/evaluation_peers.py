"""Other evaluation libraries on one pair of masks, run by an interpreter that has them: `evaluation_speed.py` calls it.

Usage: `python evaluation_peers.py PEER REFERENCE.npy PREDICTION.npy SPACING_JSON`. Prints one JSON object: seconds of
the evaluation alone (without imports and reading), wall and processor, and the figures, to see that they are ours too.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
import warnings
from typing import Any

import numpy as np

TOLERANCE_MM = 2.0


def panoptica(reference: Any, prediction: Any, spacing: Any) -> dict[str, float]:
    import panoptica as peer

    evaluator = peer.Panoptica_Evaluator(
        expected_input=peer.InputType.SEMANTIC,
        instance_approximator=peer.ConnectedComponentsInstanceApproximator(cca_backend=peer.CCABackend.cc3d),
        instance_matcher=peer.NaiveThresholdMatching(matching_threshold=0.5),
        instance_metrics=[peer.Metric.DSC, peer.Metric.IOU],
        global_metrics=[peer.Metric.DSC],
    )
    (result,) = evaluator.evaluate(prediction, reference, voxelspacing=tuple(spacing), verbose=False).values()
    return {"dice": float(result.global_bin_dsc), "pq": float(result.pq), "sq": float(result.sq)}


def surface_distance(reference: Any, prediction: Any, spacing: Any) -> dict[str, float]:
    import surface_distance as peer

    found = peer.compute_surface_distances(reference > 0, prediction > 0, spacing)
    areas = np.concatenate([found["surfel_areas_gt"], found["surfel_areas_pred"]])
    distances = np.concatenate([found["distances_gt_to_pred"], found["distances_pred_to_gt"]])
    return {
        "hd95_mm": float(peer.compute_robust_hausdorff(found, 95)),
        "assd_mm": float((areas * distances).sum() / areas.sum()),
        "nsd": float(peer.compute_surface_dice_at_tolerance(found, TOLERANCE_MM)),
    }


def simpleitk(reference: Any, prediction: Any, spacing: Any) -> dict[str, float]:
    import SimpleITK

    images = [SimpleITK.GetImageFromArray(np.ascontiguousarray(mask.T)) for mask in (reference, prediction)]
    for image in images:
        image.SetSpacing(spacing)
    peer = SimpleITK.HausdorffDistanceImageFilter()
    peer.Execute(*images)
    return {"hausdorff_mm": float(peer.GetHausdorffDistance())}


def picai_eval(reference: Any, prediction: Any, _: Any) -> dict[str, float]:
    from picai_eval.eval import evaluate_case

    # Detection map: the same confidence everywhere, so that components are those of the mask.
    lesions, *_ = evaluate_case(prediction.astype(np.float32), reference.astype(np.int32), min_overlap=0.1)
    return {"found": float(sum(is_lesion and confidence > 0 for is_lesion, confidence, _ in lesions))}


PEERS = {
    "panoptica": panoptica,
    "surface-distance": surface_distance,
    "SimpleITK Hausdorff": simpleitk,
    "picai_eval": picai_eval,
}


def _clocks() -> tuple[float, float]:
    """Wall time and processor time."""
    return time.perf_counter(), time.process_time()


def main() -> None:
    name, *paths, spacing = sys.argv[1:]
    reference, prediction = (np.load(path) for path in paths)
    warnings.simplefilter("ignore")
    small = np.zeros((24, 24, 24), np.uint8, order="F")
    small[4:9, 4:9, 4:9] = 1
    with contextlib.redirect_stdout(sys.stderr):
        try:
            PEERS[name](small, small, json.loads(spacing))
        except ImportError as error:
            result: dict[str, Any] = {"missing": str(error)}
        else:
            began = _clocks()
            figures = PEERS[name](reference, prediction, json.loads(spacing))
            seconds, processor_seconds = (now - then for now, then in zip(_clocks(), began, strict=True))
            result = {"seconds": seconds, "processor_seconds": processor_seconds, "figures": figures}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
