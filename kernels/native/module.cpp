// The Python face of the kernels. kernels/native/__init__.py has checked shapes and ranges; what is checked here are dtype,
// contiguity, and that written arrays may be written. Halves come as uint16 views. Every kernel runs without the GIL.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "blend.h"
#include "boxes.h"
#include "intensity.h"
#include "resample.h"
#include "restore.h"
#include "separable_module.h"
#include "threads.h"

namespace py = pybind11;

namespace flare {

namespace {

template <class T>
using Dense = py::array_t<T, py::array::c_style>;
using Halves = Dense<Half>;
using Planes = std::pair<int64_t, int64_t>;
using Triple = std::tuple<int64_t, int64_t, int64_t>;
using TapArrays = std::tuple<Dense<int32_t>, Dense<int32_t>, Dense<float>>;
using Coordinates = std::pair<int, Dense<double>>;  // spline order and coordinates of an axis

// A ring (channels, planes, rows, columns), or weights (planes, rows, columns) as a ring of one channel.
Ring ring_of(Halves& array) {
    const bool is_ring = array.ndim() == 4;
    const py::ssize_t* size = array.shape() + (is_ring ? 1 : 0);
    return {array.mutable_data(), is_ring ? array.shape(0) : 1, size[0], size[1], size[2]};
}

template <class T>
Shape shape_of(const Dense<T>& array) {
    return {array.shape(0), array.shape(1), array.shape(2)};
}

void py_blend(Halves& ring, Halves& weights, const Dense<float>& logits, const Halves& gaussian, const Triple& corner_zyx) {
    const auto [z, y, x] = corner_zyx;
    const Tile tile{logits.data(), gaussian.data(), gaussian.shape(0), gaussian.shape(1), gaussian.shape(2), z, y, x};
    const Ring into = ring_of(ring), sum = ring_of(weights);
    const py::gil_scoped_release release;
    blend(into, sum, tile);
}

void py_finish(Halves& ring, Halves& weights, const Planes& planes) {
    const Ring sum = ring_of(ring), divisor = ring_of(weights);
    const py::gil_scoped_release release;
    finish(sum, divisor, planes.first, planes.second);
}

void py_average(std::vector<Halves>& rings, const Planes& planes) {
    std::vector<Ring> folds;
    for (Halves& ring : rings) folds.push_back(ring_of(ring));
    const py::gil_scoped_release release;
    average(folds, planes.first, planes.second);
}

void py_clear(Halves& ring, const Planes& planes) {
    const Ring cleared = ring_of(ring);
    const py::gil_scoped_release release;
    clear(cleared, planes.first, planes.second);
}

Taps taps_of(const TapArrays& taps) {
    const auto& [lower, upper, weight] = taps;
    return {lower.data(), upper.data(), weight.data(), lower.size()};
}

template <Choice choice, class Label>
void py_restore(const Halves& ring, const std::tuple<TapArrays, TapArrays, TapArrays>& taps_zyx, const Dense<Label>& values,
                Dense<Label>& labels, bool in_half) {
    const auto& [z, y, x] = taps_zyx;
    const RingView source{ring.data(), ring.shape(0), ring.shape(1), ring.shape(2), ring.shape(3)};
    const Restore<Label> job{source, taps_of(z), taps_of(y), taps_of(x), choice, in_half, values.data(), labels.mutable_data()};
    const py::gil_scoped_release release;
    restore(job);
}

Axis axis_of(const Coordinates& coordinates, int64_t source) {
    return Axis(coordinates.first, coordinates.second.data(), coordinates.second.size(), source);
}

using AxisCoordinates = std::tuple<Coordinates, Coordinates, Coordinates>;
using Limits = std::optional<std::pair<float, float>>;

Dense<float> resampled(const Samples& image, const py::array& shape, const AxisCoordinates& coordinates_zyx, const Limits& clamp) {
    const auto& [z, y, x] = coordinates_zyx;
    Dense<float> target({z.second.size(), y.second.size(), x.second.size()});
    const Resample job{image,
                       axis_of(z, shape.shape(0)),
                       axis_of(y, shape.shape(1)),
                       axis_of(x, shape.shape(2)),
                       clamp ? clamp->first : 0,
                       clamp ? clamp->second : 0,
                       !clamp,
                       target.mutable_data()};
    const py::gil_scoped_release release;
    resample(job);
    return target;
}

Dense<float> py_resample(const Dense<float>& image, const AxisCoordinates& coordinates_zyx, const Limits& clamp) {
    return resampled(image.data(), image, coordinates_zyx, clamp);
}

template <class T>
Dense<float> py_resample_scan(const py::array_t<T, 0>& image, const std::tuple<float, float, float, float>& intensity,
                              const AxisCoordinates& coordinates_zyx, const Limits& clamp) {
    const auto [low, high, mean, divisor] = intensity;
    ScanVoxels<T> voxels{image.data(), {}, {low, high, mean, divisor}};
    for (int axis = 0; axis < 3; ++axis) {
        if (image.strides(axis) % static_cast<py::ssize_t>(sizeof(T))) throw py::value_error("image: got voxels out of line");
        voxels.strides[axis] = image.strides(axis) / static_cast<py::ssize_t>(sizeof(T));
    }
    return resampled(voxels, image, coordinates_zyx, clamp);
}

template <class T>
Dense<float> py_normalise(const Dense<T>& image, float low, float high, float mean, float divisor) {
    Dense<float> target({image.shape(0), image.shape(1), image.shape(2)});
    float* const values = target.mutable_data();
    const T* const source = image.data();
    const int64_t count = image.size();
    const py::gil_scoped_release release;
    normalise(source, values, count, {low, high, mean, divisor});
    return target;
}

template <class T>
std::pair<double, double> py_value_range(const Dense<T>& image) {
    const T* const values = image.data();
    const int64_t count = image.size();
    const py::gil_scoped_release release;
    const Range range = value_range(values, count);
    return {range.low, range.high};
}

template <class T>
std::pair<double, double> py_moments(const Dense<T>& image) {
    const T* const values = image.data();
    const int64_t count = image.size();
    const py::gil_scoped_release release;
    const Moments found = moments(values, count);
    return {found.sum, found.squares};
}

using Corners = std::optional<std::pair<Triple, Triple>>;

Corners corners_of(const Box& box) {
    if (box.empty()) return std::nullopt;
    return {{{box.start[0], box.start[1], box.start[2]}, {box.stop[0], box.stop[1], box.stop[2]}}};
}

template <class T>
Corners py_box_nonzero(const Dense<T>& image) {
    const Shape shape = shape_of(image);
    const T* const voxels = image.data();
    const py::gil_scoped_release release;
    return corners_of(box_nonzero(voxels, shape));
}

// (n, 7) as in the contract.
Dense<int64_t> rows_of(const std::vector<LabelBounds>& table) {
    Dense<int64_t> rows({static_cast<py::ssize_t>(table.size()), py::ssize_t{7}});
    auto row = rows.mutable_unchecked<2>();
    for (py::ssize_t label = 0; label < rows.shape(0); ++label) {
        const LabelBounds& found = table[label];
        for (int axis = 0; axis < 3; ++axis) {
            row(label, axis) = found.voxels ? found.box.start[axis] : 0;
            row(label, 3 + axis) = found.box.stop[axis];
        }
        row(label, 6) = found.voxels;
    }
    return rows;
}

// For every value of Label.
template <class Label>
Dense<int64_t> py_bounds(const Dense<Label>& labels) {
    std::vector<LabelBounds> table(1 << 8 * sizeof(Label));
    const Shape shape = shape_of(labels);
    const Label* const voxels = labels.data();
    {
        const py::gil_scoped_release release;
        bounds(voxels, shape, table.data());
    }
    return rows_of(table);
}

Dense<int64_t> py_piece_bounds(const Dense<uint32_t>& pieces) {
    std::vector<LabelBounds> table;
    const Shape shape = shape_of(pieces);
    const uint32_t* const voxels = pieces.data();
    {
        const py::gil_scoped_release release;
        table = piece_bounds(voxels, shape);
    }
    return rows_of(table);
}

Dense<float> py_widen_portable(const Halves& halves) {
    Dense<float> floats(halves.size());
    widen_portable(halves.data(), floats.mutable_data(), halves.size());
    return floats;
}

Halves py_narrow_portable(const Dense<float>& floats) {
    Halves halves(floats.size());
    narrow_portable(floats.data(), halves.mutable_data(), floats.size());
    return halves;
}

}  // namespace

PYBIND11_MODULE(_native, module) {
    const auto strict = [](const char* name) { return py::arg(name).noconvert(); };
    module.doc() = "Compiled kernels; see flare_trt.kernels.contract for what each does.";
    module.def("set_threads", &set_threads, "Threads of every later kernel call; 0 = one per processor of this process.");
    module.def("blend", &py_blend, strict("ring"), strict("weights"), strict("logits"), strict("gaussian"), strict("corner_zyx"));
    module.def("finish", &py_finish, strict("ring"), strict("weights"), strict("planes"));
    module.def("average", &py_average, strict("rings"), strict("planes"));
    module.def("clear", &py_clear, strict("ring"), strict("planes"));
    module.def("restore_argmax", &py_restore<Choice::kFirstLargest, uint8_t>, strict("ring"), strict("taps_zyx"),
               strict("values"), strict("labels"), py::arg("in_half"));
    module.def("restore_argmax", &py_restore<Choice::kFirstLargest, uint16_t>, strict("ring"), strict("taps_zyx"),
               strict("values"), strict("labels"), py::arg("in_half"));
    module.def("restore_regions", &py_restore<Choice::kLastPositive, uint8_t>, strict("ring"), strict("taps_zyx"),
               strict("values"), strict("labels"), py::arg("in_half"));
    module.def("restore_regions", &py_restore<Choice::kLastPositive, uint16_t>, strict("ring"), strict("taps_zyx"),
               strict("values"), strict("labels"), py::arg("in_half"));
    module.def("resample", &py_resample, strict("image"), strict("coordinates_zyx"), py::arg("clamp"));
    module.def("resample_scan", &py_resample_scan<int16_t>, strict("image"), py::arg("intensity"), strict("coordinates_zyx"),
               py::arg("clamp"));
    module.def("resample_scan", &py_resample_scan<float>, strict("image"), py::arg("intensity"), strict("coordinates_zyx"),
               py::arg("clamp"));
    module.def("normalise", &py_normalise<int16_t>, strict("image"), py::arg("low"), py::arg("high"), py::arg("mean"),
               py::arg("divisor"));
    module.def("normalise", &py_normalise<float>, strict("image"), py::arg("low"), py::arg("high"), py::arg("mean"),
               py::arg("divisor"));
    module.def("value_range", &py_value_range<int16_t>, strict("image"));
    module.def("value_range", &py_value_range<float>, strict("image"));
    module.def("moments", &py_moments<int16_t>, strict("image"));
    module.def("moments", &py_moments<float>, strict("image"));
    module.def("box_nonzero", &py_box_nonzero<int16_t>, strict("image"));
    module.def("box_nonzero", &py_box_nonzero<float>, strict("image"));
    module.def("bounds", &py_bounds<uint8_t>, strict("labels"));
    module.def("bounds", &py_bounds<uint16_t>, strict("labels"));
    module.def("piece_bounds", &py_piece_bounds, strict("pieces"));
    add_separable(module);
    module.def("widen_portable", &py_widen_portable, strict("halves"), "uint16 half bits -> float32, without F16C; for tests.");
    module.def("narrow_portable", &py_narrow_portable, strict("floats"), "float32 -> uint16 half bits, without F16C; for tests.");
}

}  // namespace flare
