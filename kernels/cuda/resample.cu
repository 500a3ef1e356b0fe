// Resampling of one axis of a volume by a banded matrix, and the clamp of each slice to its own range.
#include "flare.cuh"

// target[i] = sum over k of weights[k, i] * source[first[i] + k] along `axis`, where an index past either end means the end
// sample, clamped to [low, high]. `length` is the source's size on that axis; the other two sizes are the target's.
// One tap is nearest neighbour, two are linear; a cubic B-spline's prefilter and four taps fold into one wider band.
FLARE_KERNEL(resample_axis, const float* __restrict__ source, float* __restrict__ target, const int* __restrict__ first,
             const float* __restrict__ weights, int taps, int axis, int length, int size_z, int size_y, int size_x,
             float low, float high) {
    const Voxel voxel = this_voxel();
    if (!inside(voxel, size_z, size_y, size_x)) return;
    const int source_y = axis == 1 ? length : size_y, source_x = axis == 2 ? length : size_x;
    const int i = axis == 0 ? voxel.z : axis == 1 ? voxel.y : voxel.x;
    const int targets = axis == 0 ? size_z : axis == 1 ? size_y : size_x;
    const size_t stride = axis == 0 ? (size_t)source_y * source_x : axis == 1 ? (size_t)source_x : 1;
    const float* line = source + voxel_offset(axis == 0 ? 0 : voxel.z, axis == 1 ? 0 : voxel.y, axis == 2 ? 0 : voxel.x,
                                              source_y, source_x);
    float sum = 0.f;
    for (int k = 0; k < taps; ++k) {
        const int j = min(max(first[i] + k, 0), length - 1);
        sum += weights[(size_t)k * targets + i] * line[j * stride];
    }
    target[voxel_offset(voxel.z, voxel.y, voxel.x, size_y, size_x)] = fminf(fmaxf(sum, low), high);
}

// Clamps slice z of a volume, in place, to the range that `range_float32` found for slice z of another.
FLARE_KERNEL(clamp_slices, float* __restrict__ image, const unsigned* __restrict__ ranges, int size_z, int size_y, int size_x) {
    const Voxel voxel = this_voxel();
    if (!inside(voxel, size_z, size_y, size_x)) return;
    const float low = value_of(ranges[2 * voxel.z]), high = value_of(ranges[2 * voxel.z + 1]);
    float* place = image + voxel_offset(voxel.z, voxel.y, voxel.x, size_y, size_x);
    *place = fminf(fmaxf(*place, low), high);
}
