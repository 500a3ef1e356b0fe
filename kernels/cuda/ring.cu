// What happens to finished planes of a ring buffer: division by the weights, the mean of folds, clearing for the next use.
// Each kernel runs one thread a voxel of `planes` planes from network-grid plane `start`; plane z lies at z % ring_z.
#include "flare.cuh"

FLARE_KERNEL(finish, __half* __restrict__ ring, const __half* __restrict__ weights, int channels, int ring_z, int ring_y,
             int ring_x, int start, int planes) {
    const Voxel voxel = this_voxel();
    if (!inside(voxel, planes, ring_y, ring_x)) return;
    const size_t at = voxel_offset((start + voxel.z) % ring_z, voxel.y, voxel.x, ring_y, ring_x);
    const float weight = __half2float(weights[at]);
    for (int c = 0; c < channels; ++c) {
        __half* logit = ring + c * (size_t)ring_z * ring_y * ring_x + at;
        *logit = __float2half_rn(__fdiv_rn(__half2float(*logit), weight));
    }
}

// Adds a fold to the first one in float16 and divides by `divisor`: 1 until the last fold, then the number of folds.
FLARE_KERNEL(add_fold, __half* __restrict__ ring, const __half* __restrict__ other, int channels, int ring_z, int ring_y,
             int ring_x, int start, int planes, float divisor) {
    const Voxel voxel = this_voxel();
    if (!inside(voxel, planes, ring_y, ring_x)) return;
    size_t at = voxel_offset((start + voxel.z) % ring_z, voxel.y, voxel.x, ring_y, ring_x);
    for (int c = 0; c < channels; ++c, at += (size_t)ring_z * ring_y * ring_x) {
        const __half sum = __float2half_rn(__fadd_rn(__half2float(ring[at]), __half2float(other[at])));
        ring[at] = __float2half_rn(__fdiv_rn(__half2float(sum), divisor));
    }
}

FLARE_KERNEL(clear, __half* __restrict__ ring, __half* __restrict__ weights, int channels, int ring_z, int ring_y, int ring_x,
             int start, int planes) {
    const Voxel voxel = this_voxel();
    if (!inside(voxel, planes, ring_y, ring_x)) return;
    const size_t at = voxel_offset((start + voxel.z) % ring_z, voxel.y, voxel.x, ring_y, ring_x);
    const __half zero = __float2half_rn(0.f);
    for (int c = 0; c < channels; ++c) ring[c * (size_t)ring_z * ring_y * ring_x + at] = zero;
    weights[at] = zero;
}
