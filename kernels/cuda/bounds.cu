// Box and size of every label of a label map in one pass: runs in registers, a table a block, then atomics.
#include "flare.cuh"

// Labels below it have a row in the block's table; those above, of which a map has few voxels each, go straight to memory.
#define FLARE_TABLE_ROWS 256

// One run of a label along a column, put into its 6 extents (highest inclusive) and its voxels.
template <class Count>
FLARE_DEVICE void add_run(int* row, Count* voxels, int first, int last, int y, int x) {
    atomicMin(&row[0], first);
    atomicMin(&row[1], y);
    atomicMin(&row[2], x);
    atomicMax(&row[3], last);
    atomicMax(&row[4], y);
    atomicMax(&row[5], x);
    atomicAdd(voxels, (Count)(last - first + 1));
}

// `extents` (count, 6) starts as {INT_MAX x 3, -1 x 3} a row, `voxels` (count) and `highest` (1) as 0. A thread walks one
// column of `chunk` planes; blockIdx.y counts the chunks. A label >= count only raises `highest`. `table` is the block's shared
// memory: 6 extents and the voxels of each label below FLARE_TABLE_ROWS.
template <class Label>
FLARE_DEVICE void find_bounds(const Label* __restrict__ labels, int* __restrict__ extents, unsigned long long* __restrict__ voxels,
                              int* __restrict__ highest, int count, int size_z, int size_y, int size_x, int chunk, int* table) {
    const int rows = min(count, FLARE_TABLE_ROWS);
    for (int i = threadIdx.x; i < rows * 7; i += blockDim.x) table[i] = i % 7 < 3 ? 0x7fffffff : i % 7 < 6 ? -1 : 0;
    __syncthreads();
    const size_t column = this_element(), plane = (size_t)size_y * size_x;
    if (column < plane) {
        const int y = (int)(column / size_x), x = (int)(column % size_x);
        const int start = blockIdx.y * chunk, stop = min(size_z, start + chunk);
        int first = start;
        for (int z = start; z < stop; ++z) {
            const int label = labels[z * plane + column];
            if (z + 1 < stop && labels[(z + 1) * plane + column] == label) continue;
            if (label >= count) atomicMax(highest, label);
            else if (label < rows) add_run(&table[label * 7], &table[label * 7 + 6], first, z, y, x);
            else add_run(&extents[label * 6], &voxels[label], first, z, y, x);
            first = z + 1;
        }
    }
    __syncthreads();
    for (int label = threadIdx.x; label < rows; label += blockDim.x) {
        const int* row = &table[label * 7];
        if (row[6] == 0) continue;
        for (int side = 0; side < 3; ++side) atomicMin(&extents[label * 6 + side], row[side]);
        for (int side = 3; side < 6; ++side) atomicMax(&extents[label * 6 + side], row[side]);
        atomicAdd(&voxels[label], (unsigned long long)row[6]);
    }
}

FLARE_KERNEL(bounds_uint8, const unsigned char* __restrict__ labels, int* __restrict__ extents, unsigned long long* __restrict__ voxels,
             int* __restrict__ highest, int count, int size_z, int size_y, int size_x, int chunk) {
    __shared__ int table[FLARE_TABLE_ROWS * 7];
    find_bounds(labels, extents, voxels, highest, count, size_z, size_y, size_x, chunk, table);
}

FLARE_KERNEL(bounds_uint16, const unsigned short* __restrict__ labels, int* __restrict__ extents, unsigned long long* __restrict__ voxels,
             int* __restrict__ highest, int count, int size_z, int size_y, int size_x, int chunk) {
    __shared__ int table[FLARE_TABLE_ROWS * 7];
    find_bounds(labels, extents, voxels, highest, count, size_z, size_y, size_x, chunk, table);
}
