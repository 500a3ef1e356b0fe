/* NVIDIA's driver library as far as flare_trt.kernels.devices asks it: both answers come from the environment. */
#include <stdlib.h>

int cuInit(unsigned int flags) { return flags == 0 ? atoi(getenv("FAKE_DRIVER_CODE")) : 1; }

int cuDeviceGetCount(int* count) {
    *count = atoi(getenv("FAKE_DRIVER_GPUS"));
    return 0;
}
