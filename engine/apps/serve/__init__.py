"""Segmentation over HTTP (`flare-trt serve`); needs the extra `serve`, which `app` and `routes` load with themselves."""
