// Normalisation: clip, subtract the mean, divide by the standard deviation; each step rounded to float32 as NumPy does; and a mask on what came out.
#include "flare.cuh"

FLARE_DEVICE float normalised(float hu, float low_hu, float high_hu, float mean_hu, float std_hu) {
    return __fdiv_rn(__fsub_rn(fminf(fmaxf(hu, low_hu), high_hu), mean_hu), std_hu);
}

FLARE_KERNEL(normalise_int16, const short* __restrict__ image, float* __restrict__ result, size_t voxels,
             float low_hu, float high_hu, float mean_hu, float std_hu) {
    const size_t i = this_element();
    if (i < voxels) result[i] = normalised((float)image[i], low_hu, high_hu, mean_hu, std_hu);
}

FLARE_KERNEL(normalise_float32, const float* __restrict__ image, float* __restrict__ result, size_t voxels,
             float low_hu, float high_hu, float mean_hu, float std_hu) {
    const size_t i = this_element();
    if (i < voxels) result[i] = normalised(image[i], low_hu, high_hu, mean_hu, std_hu);
}

FLARE_KERNEL(zero_outside, float* __restrict__ image, const unsigned char* __restrict__ inside, size_t voxels) {
    const size_t i = this_element();
    if (i < voxels && inside[i] == 0) image[i] = 0.f;
}
