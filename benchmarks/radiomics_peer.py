"""PyRadiomics on one image, run by an interpreter that has it: `radiomics_speed.py` calls it.

Usage: `python radiomics_peer.py ARRAYS.npz BIN_WIDTH`. Prints one JSON object: seconds of the extraction alone, wall
and processor, and the features.
"""

from __future__ import annotations

import json
import logging
import sys
import time

import numpy as np
import SimpleITK

from radiomics import featureextractor


def main() -> None:
    logging.getLogger("radiomics").setLevel(logging.ERROR)
    arrays = np.load(sys.argv[1])
    image, mask = (SimpleITK.GetImageFromArray(np.ascontiguousarray(arrays[n].T)) for n in ("image", "mask"))
    extractor = featureextractor.RadiomicsFeatureExtractor(binWidth=float(sys.argv[2]))
    extractor.enabledImagetypes = {"Original": {}, "LoG": {"sigma": [1.0, 2.0, 3.0, 4.0, 5.0]}, "Wavelet": {}}
    wall, processor = time.perf_counter(), time.process_time()
    features = extractor.execute(image, mask)
    seconds = {"wall_s": time.perf_counter() - wall, "processor_s": time.process_time() - processor}
    values = {name: float(value) for name, value in features.items() if not name.startswith("diagnostics")}
    print(json.dumps({**seconds, "features": values}))


if __name__ == "__main__":
    main()
