// Sums of an array's values and of their squares in float64: each block folds its threads' sums, and leaves one pair.
#include "flare.cuh"

#define FLARE_MOMENT_THREADS 256

// `folded` is the block's shared memory: a sum and a sum of squares for each of its threads. `parts` has a pair for each block.
template <class T>
FLARE_DEVICE void sum_moments(const T* __restrict__ image, double* __restrict__ parts, size_t voxels, double* folded) {
    double sum = 0, squares = 0;
    for (size_t i = this_element(); i < voxels; i += (size_t)gridDim.x * blockDim.x) {
        const double value = (double)image[i];
        sum += value;
        squares += value * value;
    }
    folded[threadIdx.x] = sum;
    folded[FLARE_MOMENT_THREADS + threadIdx.x] = squares;
    for (unsigned half = FLARE_MOMENT_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) {
            folded[threadIdx.x] += folded[threadIdx.x + half];
            folded[FLARE_MOMENT_THREADS + threadIdx.x] += folded[FLARE_MOMENT_THREADS + threadIdx.x + half];
        }
    }
    if (threadIdx.x == 0) {
        parts[2 * blockIdx.x] = folded[0];
        parts[2 * blockIdx.x + 1] = folded[FLARE_MOMENT_THREADS];
    }
}

FLARE_KERNEL(moments_int16, const short* __restrict__ image, double* __restrict__ parts, size_t voxels) {
    __shared__ double folded[2 * FLARE_MOMENT_THREADS];
    sum_moments(image, parts, voxels, folded);
}

FLARE_KERNEL(moments_float32, const float* __restrict__ image, double* __restrict__ parts, size_t voxels) {
    __shared__ double folded[2 * FLARE_MOMENT_THREADS];
    sum_moments(image, parts, voxels, folded);
}
