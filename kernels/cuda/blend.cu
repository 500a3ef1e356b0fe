// Adds one tile to the ring buffer of logits and weights: float16 in memory, float32 in between.
#include "flare.cuh"

// Plane z of the network grid lies at z % ring_z. One thread does all channels of a voxel. Product and sum are rounded to
// float32 one by one (a fused multiply-add would differ from nnU-Net's torch.half accumulation).
FLARE_KERNEL(blend, __half* __restrict__ ring, __half* __restrict__ weights, const float* __restrict__ logits,
             const __half* __restrict__ gaussian, int channels, int ring_z, int ring_y, int ring_x, int tile_z, int tile_y,
             int tile_x, int corner_z, int corner_y, int corner_x) {
    const Voxel voxel = this_voxel();
    if (!inside(voxel, tile_z, tile_y, tile_x)) return;
    const size_t from = voxel_offset(voxel.z, voxel.y, voxel.x, tile_y, tile_x);
    const size_t to = voxel_offset((corner_z + voxel.z) % ring_z, corner_y + voxel.y, corner_x + voxel.x, ring_y, ring_x);
    const size_t tile_voxels = (size_t)tile_z * tile_y * tile_x, ring_voxels = (size_t)ring_z * ring_y * ring_x;
    const float share = __half2float(gaussian[from]);
    for (int c = 0; c < channels; ++c) {
        __half* sum = ring + c * ring_voxels + to;
        *sum = __float2half_rn(__fadd_rn(__half2float(*sum), __fmul_rn(logits[c * tile_voxels + from], share)));
    }
    weights[to] = __float2half_rn(__fadd_rn(__half2float(weights[to]), share));
}
