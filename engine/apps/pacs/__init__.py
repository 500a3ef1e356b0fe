"""A worker between PACS and viewer (`flare-trt pacs`): studies come in, wait in a durable queue, are segmented, results go back.

Needs the extra `pacs`, which is loaded on first use.
"""
