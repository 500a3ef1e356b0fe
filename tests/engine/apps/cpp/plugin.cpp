// A C++ library inside a process that hosts Python already: Python loads it by ctypes and calls it from its threads.
#include <cstdint>
#include <cstdio>

#include <flare_trt.hpp>

// 0 and the labels, or 1 and the error's message.
extern "C" int segment(const char* bundle, const std::int16_t* voxels, const std::int64_t* size_xyz, std::uint8_t* labels, char* message) {
    try {
        flare_trt::Options options;
        options.backend = "fake";
        options.device = "cpu";
        const flare_trt::Grid grid{{size_xyz[0], size_xyz[1], size_xyz[2]}, {1.5, 1.5, 2.5}};
        const flare_trt::Segmenter segmenter(bundle, options);
        segmenter.segment_into(flare_trt::Scan(voxels, grid), labels, grid.voxels());
        return 0;
    } catch (const flare_trt::Error& error) {
        std::snprintf(message, 1000, "%s", error.what());
        return 1;
    }
}
