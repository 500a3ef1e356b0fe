#include "separable_module.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "separable.h"

namespace py = pybind11;

namespace flare {

namespace {

using Triple = std::tuple<int64_t, int64_t, int64_t>;

Extent extent_of(const Triple& zyx) { return {std::get<0>(zyx), std::get<1>(zyx), std::get<2>(zyx)}; }
Extent extent_of(const py::array& array) { return {array.shape(0), array.shape(1), array.shape(2)}; }

// What values of type T are in Python.
template <class T>
using Stored = std::conditional_t<std::is_same_v<T, Tiled>, Bf16, T>;
template <class T>
using Array = py::array_t<Stored<T>, py::array::c_style>;
template <class T>
const T* data_of(const Array<T>& array) {
    return reinterpret_cast<const T*>(array.data());
}
using Floats = Array<float>;
using Doubles = Array<double>;
using Norm = std::pair<Floats, Floats>;  // scale and shift (channels)
template <class T>
using UpArrays = std::pair<Array<T>, Floats>;  // kernel (z, y, x, channels / 16, in, 16) and bias (channels)
template <class T>
using SourceArrays = std::tuple<py::array, Triple, Norm, std::optional<UpArrays<T>>>;

template <class T>
FeatureMap map_of(const py::array& values, const Triple& size, const Norm& norm) {
    const bool one_channel = values.ndim() == 3;
    if (!(one_channel ? py::isinstance<Floats>(values) : py::isinstance<Array<T>>(values))) throw py::type_error("a map of another type");
    return {values.data(), norm.first.data(), norm.second.data(), extent_of(size), norm.first.shape(0), one_channel};
}

template <class T>
BlockSource<T> source_of(const SourceArrays<T>& arrays) {
    const auto& [values, size, norm, up] = arrays;
    if (!up) return {map_of<T>(values, size, norm), {nullptr, nullptr, {1, 1, 1}, 0}};
    const auto& [kernel, bias] = *up;
    return {map_of<T>(values, size, norm), {data_of<T>(kernel), bias.data(), extent_of(kernel), bias.shape(0)}};
}

// Raises where values of type T cannot be worked on.
template <class T>
void require_processor() {
    if (std::is_same_v<T, Tiled> && !separable_tiles()) throw std::runtime_error("this process cannot multiply tiles");
}

template <class T>
Doubles py_separable_block(const std::vector<SourceArrays<T>>& sources, const Array<T>& depthwise, const Array<T>& pointwise,
                           const Triple& stride_zyx, Array<T>& result) {
    require_processor<T>();
    if (reinterpret_cast<uintptr_t>(result.data()) % 64) throw py::value_error("result: is not aligned to 64 bytes");
    const int64_t out = std::is_same_v<T, Tiled> ? pointwise.shape(0) : kLanes * pointwise.shape(0);
    Block<T> block{{}, data_of<T>(depthwise), data_of<T>(pointwise), out, extent_of(stride_zyx)};
    for (const SourceArrays<T>& source : sources) block.sources.push_back(source_of<T>(source));
    Doubles sums({int64_t{2}, out});
    T* into = reinterpret_cast<T*>(result.mutable_data());
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

template <class T>
void py_last_convolution(const py::array& values, const Norm& norm, const Array<T>& kernel, const Floats& bias, Floats& logits) {
    require_processor<T>();
    const FeatureMap map = map_of<T>(values, {logits.shape(1), logits.shape(2), logits.shape(3)}, norm);
    const int64_t count = logits.shape(0);
    float* into = logits.mutable_data();
    const py::gil_scoped_release release;
    last_convolution(map, data_of<T>(kernel), bias.data(), count, into);
}

// The functions whose maps and kernels are of type T; those of types that are one to Python have names of their own.
template <class T>
void add_separable_of(py::module_& module, const std::string& suffix = "") {
    const auto strict = [](const char* name) { return py::arg(name).noconvert(); };
    module.def(("separable_block" + suffix).c_str(), &py_separable_block<T>, py::arg("sources"), strict("depthwise"), strict("pointwise"),
               py::arg("stride_zyx"), strict("result"));
    module.def(("last_convolution" + suffix).c_str(), &py_last_convolution<T>, strict("values"), py::arg("norm"), strict("kernel"), strict("bias"),
               strict("logits"));
}

}  // namespace

void add_separable(py::module_& module) {
    add_separable_of<float>(module);
    add_separable_of<Bf16>(module);
    add_separable_of<Tiled>(module, "_tiled");
    module.def("first_convolution", &py_first_convolution, py::arg("image").noconvert(), py::arg("kernel").noconvert(),
               py::arg("result").noconvert());
    module.def("limit_separable_register_bits", &limit_separable_register_bits, py::arg("bits"), "For tests and measurements.");
    module.def("separable_bf16", &separable_bf16, "Whether the processor has AVX512_BF16.");
    module.def("separable_tiles", &separable_tiles, "Whether this process can multiply tiles of bf16 values (AMX_BF16).");
    module.def("separable_register_bits", &separable_register_bits, "512, 256, or 0 where the processor lacks AVX2 and FMA.");
}

}  // namespace flare
