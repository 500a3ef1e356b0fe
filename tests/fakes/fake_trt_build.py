"""The half of the fake TensorRT that builds engines: logger, network, parser, configuration, builder."""

from __future__ import annotations

import json
from enum import Enum, IntEnum
from typing import Any

#: What a fake engine starts with.
MAGIC = b"fake engine "


class BuilderFlag(Enum):
    TF32 = 0


class NetworkDefinitionCreationFlag(IntEnum):
    STRONGLY_TYPED = 1


class MemoryPoolType(Enum):
    WORKSPACE = 0


class ILogger:
    class Severity(Enum):
        INTERNAL_ERROR = 0
        ERROR = 1
        WARNING = 2
        INFO = 3
        VERBOSE = 4

    def __init__(self) -> None:
        self._is_base_initialised = True


def require_logger(logger: Any) -> ILogger:
    import cupy

    if not cupy.is_available():
        raise AssertionError("a TensorRT object without a GPU: the real one may crash the process")
    if not getattr(logger, "_is_base_initialised", False):
        raise TypeError("the logger's base class was not initialised")
    return logger


class IHostMemory:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def __bytes__(self) -> bytes:
        return self._content


class ITimingCache:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def serialize(self) -> IHostMemory:
        return IHostMemory(self._content + b"+")


class Dims(tuple[int, ...]):
    """Sizes of a tensor."""


class IOptimizationProfile:
    def __init__(self) -> None:
        self._shapes: dict[str, Any] = {}

    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:
        if not all(isinstance(dims, Dims) for dims in (min, opt, max)):
            raise TypeError("set_shape(): incompatible function arguments")
        self._shapes[input] = (min, opt, max)


class ITensor:
    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        self.name, self.shape = name, shape


class INetworkDefinition:
    def __init__(self) -> None:
        self._model, self._inputs = b"", [ITensor("", ())]

    def get_input(self, index: int) -> ITensor:
        return self._inputs[index]


class IBuilderConfig:
    def __init__(self) -> None:
        self._flags, self._profiles, self._limits, self._timing = {BuilderFlag.TF32}, [], {}, None

    def set_memory_pool_limit(self, pool: MemoryPoolType, pool_size: int) -> None:
        self._limits[pool.name] = pool_size

    def clear_flag(self, flag: BuilderFlag) -> None:
        self._flags.discard(flag)

    def add_optimization_profile(self, profile: IOptimizationProfile) -> int:
        self._profiles.append(profile._shapes)
        return len(self._profiles) - 1 if profile._shapes else -1

    def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache:
        return ITimingCache(serialized_timing_cache)

    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
        self._timing = cache
        return not cache._content.startswith(b"foreign")


class ParserError:
    def __init__(self, text: str) -> None:
        self._text = text

    def desc(self) -> str:
        return self._text


class OnnxParser:
    def __init__(self, network: INetworkDefinition, logger: Any) -> None:
        require_logger(logger)
        self._network, self._errors = network, []

    num_errors = property(lambda self: len(self._errors))

    def get_error(self, index: int) -> ParserError:
        return self._errors[index]

    def parse(self, model: bytes) -> bool:
        try:
            session = open_session(model)
        except Exception as error:  # noqa: BLE001  whatever ONNX Runtime finds wrong
            self._errors.append(ParserError(str(error)))
            return False
        self._network._model = model
        fixed = [[size if isinstance(size, int) else -1 for size in value.shape] for value in session.get_inputs()]
        self._network._inputs = [ITensor(v.name, tuple(s)) for v, s in zip(session.get_inputs(), fixed, strict=True)]
        return True


class Builder:
    def __init__(self, logger: Any) -> None:
        self._logger = require_logger(logger)

    def create_network(self, flags: int = 0) -> INetworkDefinition:
        if flags != 1 << NetworkDefinitionCreationFlag.STRONGLY_TYPED:
            raise AssertionError("the network is not strongly typed, as version 10 builds it without the flag")
        return INetworkDefinition()

    def create_builder_config(self) -> IBuilderConfig:
        return IBuilderConfig()

    def create_optimization_profile(self) -> IOptimizationProfile:
        return IOptimizationProfile()

    def build_serialized_network(self, network: INetworkDefinition, config: IBuilderConfig) -> IHostMemory | None:
        if any(-1 in tensor.shape for tensor in network._inputs) and not config._profiles:
            self._logger.log(ILogger.Severity.ERROR, "Network has dynamic inputs, but no optimization profile has been defined")
            return None
        facts = {"tf32": BuilderFlag.TF32 in config._flags, "limits": config._limits, "profiles": config._profiles}
        return IHostMemory(MAGIC + json.dumps(facts).encode() + b"\n" + network._model)


def open_session(model: bytes) -> Any:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    return onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
