#include "separable_module.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <optional>
#include <tuple>
#include <vector>

#include "separable.h"

namespace py = pybind11;

namespace flare {

namespace {

using Floats = py::array_t<float, py::array::c_style>;
using Doubles = py::array_t<double, py::array::c_style>;
using Norm = std::pair<Floats, Floats>;                            // scale and shift (channels)
using UpArrays = std::pair<Floats, Floats>;                        // kernel (z, y, x, channels / 16, in, 16) and bias (channels)
using SourceArrays = std::tuple<Floats, Norm, std::optional<UpArrays>>;
using Triple = std::tuple<int64_t, int64_t, int64_t>;

Extent extent_of(const Floats& array) { return {array.shape(0), array.shape(1), array.shape(2)}; }

FeatureMap map_of(const Floats& values, const Norm& norm) {
    return {values.data(), norm.first.data(), norm.second.data(), extent_of(values), norm.first.shape(0), values.ndim() == 3};
}

BlockSource source_of(const SourceArrays& arrays) {
    const auto& [values, norm, up] = arrays;
    if (!up) return {map_of(values, norm), {nullptr, nullptr, {1, 1, 1}, 0}};
    return {map_of(values, norm), {up->first.data(), up->second.data(), extent_of(up->first), up->second.shape(0)}};
}

Doubles py_separable_block(const std::vector<SourceArrays>& sources, const Floats& depthwise, const Floats& pointwise,
                           const Triple& stride_zyx, Floats& result) {
    const auto [z, y, x] = stride_zyx;
    if (reinterpret_cast<uintptr_t>(result.data()) % (kLanes * sizeof(float))) throw py::value_error("result: is not aligned to 64 bytes");
    Block block{{}, depthwise.data(), pointwise.data(), result.shape(3), {z, y, x}};
    for (const SourceArrays& source : sources) block.sources.push_back(source_of(source));
    Doubles sums({py::ssize_t{2}, result.shape(3)});
    float* into = result.mutable_data();
    double* totals = sums.mutable_data();
    const py::gil_scoped_release release;
    separable_block(block, into, totals);
    return sums;
}

Doubles py_first_convolution(const Floats& image, const Floats& kernel, Floats& result) {
    Doubles sums(2);
    float* into = result.mutable_data();
    double* totals = sums.mutable_data();
    const py::gil_scoped_release release;
    first_convolution(image.data(), kernel.data(), extent_of(image), into, totals);
    return sums;
}

void py_last_convolution(const Floats& values, const Norm& norm, const Floats& kernel, const Floats& bias, Floats& logits) {
    const FeatureMap map = map_of(values, norm);
    const int64_t count = logits.shape(0);
    float* into = logits.mutable_data();
    const py::gil_scoped_release release;
    last_convolution(map, kernel.data(), bias.data(), count, into);
}

}  // namespace

void add_separable(py::module_& module) {
    const auto strict = [](const char* name) { return py::arg(name).noconvert(); };
    module.def("separable_block", &py_separable_block, py::arg("sources"), strict("depthwise"), strict("pointwise"),
               py::arg("stride_zyx"), strict("result"));
    module.def("first_convolution", &py_first_convolution, strict("image"), strict("kernel"), strict("result"));
    module.def("last_convolution", &py_last_convolution, strict("values"), py::arg("norm"), strict("kernel"), strict("bias"),
               strict("logits"));
    module.def("limit_separable_register_bits", &limit_separable_register_bits, py::arg("bits"), "For tests and measurements.");
    module.def("separable_register_bits", &separable_register_bits, "512, 256, or 0 where the processor lacks AVX2 and FMA.");
}

}  // namespace flare
