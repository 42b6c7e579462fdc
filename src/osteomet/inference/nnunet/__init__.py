"""Run networks that nnU-Net planned and trained, with the steps that nnU-Net's own predictor takes around them."""
