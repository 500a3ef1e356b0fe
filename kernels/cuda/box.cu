// Box of the voxels that are not 0: registers a thread, shared memory a block, then atomics.
#include "flare.cuh"

// `box` = {z, y, x lowest, z, y, x highest} and starts as {INT_MAX x 3, -1 x 3}. A thread walks one column of `chunk` planes,
// so that neighbours read neighbours; blockIdx.y counts the chunks. `block_box` is the block's shared memory.
template <class T>
FLARE_DEVICE void reduce_box(const T* __restrict__ image, int* __restrict__ box, int size_z, int size_y, int size_x, int chunk,
                             int* block_box) {
    if (threadIdx.x == 0) {
        for (int side = 0; side < 6; ++side) block_box[side] = side < 3 ? 0x7fffffff : -1;
    }
    __syncthreads();
    const size_t column = this_element(), plane = (size_t)size_y * size_x;
    if (column < plane) {
        int first = -1, last = -1;
        const int stop = min(size_z, (int)(blockIdx.y + 1) * chunk);
        for (int z = blockIdx.y * chunk; z < stop; ++z) {
            if (image[z * plane + column] != 0) {
                if (first < 0) first = z;
                last = z;
            }
        }
        if (first >= 0) {
            const int y = (int)(column / size_x), x = (int)(column % size_x);
            atomicMin(&block_box[0], first);
            atomicMin(&block_box[1], y);
            atomicMin(&block_box[2], x);
            atomicMax(&block_box[3], last);
            atomicMax(&block_box[4], y);
            atomicMax(&block_box[5], x);
        }
    }
    __syncthreads();
    if (threadIdx.x == 0 && block_box[3] >= 0) {
        for (int side = 0; side < 3; ++side) atomicMin(&box[side], block_box[side]);
        for (int side = 3; side < 6; ++side) atomicMax(&box[side], block_box[side]);
    }
}

FLARE_KERNEL(box_int16, const short* __restrict__ image, int* __restrict__ box, int size_z, int size_y, int size_x, int chunk) {
    __shared__ int block_box[6];
    reduce_box(image, box, size_z, size_y, size_x, chunk, block_box);
}

FLARE_KERNEL(box_float32, const float* __restrict__ image, int* __restrict__ box, int size_z, int size_y, int size_x, int chunk) {
    __shared__ int block_box[6];
    reduce_box(image, box, size_z, size_y, size_x, chunk, block_box);
}
