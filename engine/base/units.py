"""Units of memory. MB is what the command line, reports and messages count in; MiB what the paper and FLARE call MB."""

from __future__ import annotations

MB = 1_000_000
MIB = 1 << 20
