// A scan as the host program holds it: where its voxels lie in memory, and where they lie in the patient. Nothing is copied.
//
// Axes come in ITK's order, x first; in memory x runs fastest. World coordinates are LPS in mm.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace flare_trt {

// A regular grid of voxels. direction[i][j] is the LPS component i of the unit vector of axis j, as in itk::Image.
struct Grid {
    std::array<std::int64_t, 3> size_xyz{};
    std::array<double, 3> spacing_xyz_mm{};
    std::array<double, 3> origin_xyz_mm{};  // centre of voxel (0, 0, 0)
    std::array<std::array<double, 3>, 3> direction{{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};

    std::size_t voxels() const {
        return static_cast<std::size_t>(size_xyz[0]) * static_cast<std::size_t>(size_xyz[1]) * static_cast<std::size_t>(size_xyz[2]);
    }

    // Voxels from one voxel to the next along each axis, without gaps.
    std::array<std::int64_t, 3> dense_strides() const { return {1, size_xyz[0], size_xyz[0] * size_xyz[1]}; }
};

// A CT in HU in the caller's memory, which has to live and stay as it is until `segment` has returned. `strides_xyz` counts
// voxels, not bytes; a scan with gaps or turned axes is refused with InputError, because it would have to be copied.
template <class Voxel>
struct Scan {
    static_assert(std::is_same_v<Voxel, std::int16_t> || std::is_same_v<Voxel, float>, "a scan holds std::int16_t or float HU");

    Scan(const Voxel* first, const Grid& where) : Scan(first, where, where.dense_strides()) {}
    Scan(const Voxel* first, const Grid& where, const std::array<std::int64_t, 3>& strides)
        : voxels(first), grid(where), strides_xyz(strides) {}

    const Voxel* voxels;
    Grid grid;
    std::array<std::int64_t, 3> strides_xyz;
};

}  // namespace flare_trt
