// Smallest and largest value of each slice of an array: a reduction in each block, then one pair of atomics a block.
#include "flare.cuh"

// `ranges` holds (lowest, highest) of each slice as keys (see key_of) and starts as (0xffffffff, 0). Row y of the grid does
// slice y, whose voxels its blocks share in strides. `block_range` is the block's shared memory.
template <class T>
FLARE_DEVICE void reduce_range(const T* __restrict__ slice, unsigned* __restrict__ slice_range, size_t voxels,
                               unsigned* block_range) {
    if (threadIdx.x == 0) {
        block_range[0] = 0xffffffffu;
        block_range[1] = 0u;
    }
    __syncthreads();
    unsigned lowest = 0xffffffffu, highest = 0u;
    for (size_t i = this_element(); i < voxels; i += (size_t)gridDim.x * blockDim.x) {
        const unsigned key = key_of((float)slice[i]);
        lowest = min(lowest, key);
        highest = max(highest, key);
    }
    atomicMin(&block_range[0], lowest);
    atomicMax(&block_range[1], highest);
    __syncthreads();
    if (threadIdx.x == 0) {
        atomicMin(&slice_range[0], block_range[0]);
        atomicMax(&slice_range[1], block_range[1]);
    }
}

FLARE_KERNEL(range_int16, const short* __restrict__ image, unsigned* __restrict__ ranges, size_t slice_voxels) {
    __shared__ unsigned block_range[2];
    reduce_range(image + blockIdx.y * slice_voxels, ranges + 2 * blockIdx.y, slice_voxels, block_range);
}

FLARE_KERNEL(range_float32, const float* __restrict__ image, unsigned* __restrict__ ranges, size_t slice_voxels) {
    __shared__ unsigned block_range[2];
    reduce_range(image + blockIdx.y * slice_voxels, ranges + 2 * blockIdx.y, slice_voxels, block_range);
}
