// flare-trt for C++ programs: open a model bundle once, segment many scans, from any thread. C++17, header only.
//
//     const flare_trt::Segmenter segmenter("model");
//     const auto found = segmenter.segment(flare_trt::Scan(voxels, grid));
//     found.labels.data();  // one std::uint8_t a voxel, x fastest
//
// The engine is the Python package, run inside the process; scans are read where they lie. flare_trt/itk.hpp takes itk::Image.
// It is research software, not a medical device.
#pragma once

#include <pybind11/numpy.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "flare_trt/errors.hpp"
#include "flare_trt/python.hpp"
#include "flare_trt/scan.hpp"

namespace flare_trt {

enum class Mode { kExact, kHalf, kFast };

// As flare_trt.engine.RunOptions: `device` is auto, cpu or cuda:N; no backend means the device's default; 0 threads means all;
// no tile step means the bundle's. Probabilities stay with Python: labels and a report come back.
struct Options {
    Mode mode = Mode::kExact;
    std::string device = "auto";
    std::optional<std::string> backend;
    std::optional<int> max_memory_mb;
    bool mirror = false;
    int threads = 0;
    std::optional<double> tile_step;
};

// Labels on the scan's grid. Holds the engine's own array: copies of this value share it, nothing is copied.
class Labels {
 public:
    const std::uint8_t* data() const { return data_; }
    std::size_t size() const { return grid_.voxels(); }
    const Grid& grid() const { return grid_; }

 private:
    friend class Segmenter;
    Labels(detail::Object array, const std::uint8_t* data, const Grid& grid) : array_(std::move(array)), data_(data), grid_(grid) {}

    detail::Object array_;
    const std::uint8_t* data_;
    Grid grid_;
};

// `report_json` is flare_trt.engine's RunReport: where it ran, seconds of each stage, which way the ROI went, warnings.
struct Segmentation {
    Labels labels;
    std::string report_json;
};

namespace detail {

// The caller's memory as an array (z, y, x). Only Python code that returns before the caller does may see it.
template <class Voxel>
py::array array_over(const Voxel* first, const Grid& grid) {
    const auto [x, y, z] = grid.size_xyz;
    const auto step = static_cast<std::int64_t>(sizeof(Voxel));
    // With a base object NumPy takes the memory as it is instead of copying it.
    return py::array(py::dtype::of<Voxel>(), {z, y, x}, {x * y * step, x * step, step}, first, py::none());
}

inline py::object python_grid(const Grid& grid) {
    const auto [x, y, z] = grid.size_xyz;
    const auto [x_mm, y_mm, z_mm] = grid.spacing_xyz_mm;
    const auto vector = [](const std::array<double, 3>& values) { return py::make_tuple(values[0], values[1], values[2]); };
    const auto& [right, back, up] = grid.direction;
    return py::module_::import("flare_trt.engine.base.grid")
        .attr("Grid")(py::make_tuple(z, y, x), py::make_tuple(z_mm, y_mm, x_mm), vector(grid.origin_xyz_mm),
                      py::make_tuple(vector(right), vector(back), vector(up)));
}

inline std::string text_of(const std::array<std::int64_t, 3>& values) {
    return "(" + std::to_string(values[0]) + ", " + std::to_string(values[1]) + ", " + std::to_string(values[2]) + ")";
}

// A flare_trt.engine.Volume over the caller's voxels.
template <class Voxel>
py::object python_volume(const Scan<Voxel>& scan) {
    const py::object grid = python_grid(scan.grid);  // first: it refuses impossible sizes
    if (!scan.voxels) throw InputError("scan: got a null pointer, expected the address of the first voxel");
    if (scan.strides_xyz != scan.grid.dense_strides()) {
        throw InputError("scan: got strides of " + text_of(scan.strides_xyz) + " voxels (x, y, z), expected " +
                         text_of(scan.grid.dense_strides()) + ": no gaps and x fastest; copy it to such a buffer first");
    }
    py::array voxels = array_over(scan.voxels, scan.grid);
    voxels.attr("flags").attr("writeable") = false;
    return py::module_::import("flare_trt.engine.base.volume").attr("ct_volume")(voxels, grid);
}

inline const char* name_of(Mode mode) {
    switch (mode) {
        case Mode::kHalf: return "half";
        case Mode::kFast: return "fast";
        default: return "exact";
    }
}

inline py::object python_options(const Options& options) {
    using py::literals::operator""_a;
    return py::module_::import("flare_trt.engine.model.options")
        .attr("RunOptions")("mode"_a = name_of(options.mode), "device"_a = options.device,
                            "backend"_a = options.backend ? py::object(py::str(*options.backend)) : py::none(),
                            "max_memory_mb"_a = options.max_memory_mb ? py::object(py::int_(*options.max_memory_mb)) : py::none(),
                            "mirror"_a = options.mirror, "threads"_a = options.threads,
                            "tile_step"_a = options.tile_step ? py::object(py::float_(*options.tile_step)) : py::none());
}

}  // namespace detail

// An open model; copies share it. Threads may call it at once: scans then run one after another, each on all cores.
class Segmenter {
 public:
    // Opens a bundle's folder or zip. Throws BundleError, or DeviceError where what was asked for is not there.
    explicit Segmenter(const std::filesystem::path& bundle, const Options& options = {})
        : segmenter_(detail::with_python([&] {
              const auto type = py_module("segmenter").attr("Segmenter");
              return detail::keep(type.attr("open")(bundle.string(), detail::python_options(options)), "close");
          })) {}

    // Labels in a buffer of the engine. Throws InputError for a scan that cannot be used, BudgetError, DeviceError.
    template <class Voxel>
    Segmentation segment(const Scan<Voxel>& scan) const {
        return detail::with_python([&] {
            const auto [found, report] = run(scan, sizeof(std::uint8_t));
            const pybind11::array_t<std::uint8_t, pybind11::array::c_style> labels(found);  // the same array, if it is dense
            return Segmentation{Labels(detail::keep(labels), labels.data(), scan.grid), report};
        });
    }

    // Labels into the caller's `count` numbers, x fastest; returns the report. Throws as above; the buffer is then untouched.
    // A model with labels above 255 needs std::uint16_t.
    template <class Voxel, class Label>
    std::string segment_into(const Scan<Voxel>& scan, Label* labels, std::size_t count) const {
        static_assert(std::is_same_v<Label, std::uint8_t> || std::is_same_v<Label, std::uint16_t>, "labels are uint8 or uint16");
        return detail::with_python([&] {
            if (!labels || count != scan.grid.voxels()) {
                throw InputError("labels: got a buffer of " + std::to_string(labels ? count : 0) + " labels, expected " +
                                 std::to_string(scan.grid.voxels()) + ": one for each voxel of the scan");
            }
            const auto [found, report] = run(scan, sizeof(Label));
            pybind11::module_::import("numpy").attr("copyto")(detail::array_over(labels, scan.grid), found);
            return report;
        });
    }

    // Label value -> name, without the background.
    std::map<int, std::string> label_names() const {
        return detail::with_python([&] {
            std::map<int, std::string> names;
            const pybind11::dict found = detail::borrow(segmenter_).attr("spec").attr("label_names");
            for (const auto& [value, name] : found) names.emplace(value.cast<int>(), name.cast<std::string>());
            return names;
        });
    }

 private:
    static pybind11::module_ py_module(const char* name) {
        return pybind11::module_::import((std::string("flare_trt.engine.") + name).c_str());
    }

    // The engine's labels (z, y, x), of at most `bytes` each, and the report.
    template <class Voxel>
    std::pair<pybind11::array, std::string> run(const Scan<Voxel>& scan, std::size_t bytes) const {
        const pybind11::object found = detail::borrow(segmenter_).attr("segment")(detail::python_volume(scan));
        const pybind11::object labels = found.attr("labels").attr("array");
        if (labels.attr("itemsize").cast<std::size_t>() > bytes) {
            throw InputError("labels: got a model with labels above 255, expected at most 255 for one byte a voxel; call segment_into "
                             "with std::uint16_t");
        }
        const pybind11::object report = pybind11::module_::import("json").attr("dumps")(found.attr("report").attr("as_json")());
        return {labels, report.cast<std::string>()};
    }

    detail::Object segmenter_;
};

}  // namespace flare_trt
