// Runs the kernels that use atomics on real threads, for ThreadSanitizer. Built twice:
// FLARE_ONE_BLOCK: one block, an OS thread for each CUDA thread, so that shared memory and barriers are watched;
// otherwise many blocks of one CUDA thread, an OS thread each, so that memory shared between blocks is watched.
#ifdef FLARE_ONE_BLOCK
#define FLARE_SHARED static
#endif
#include "all_sources.h"

#include <pthread.h>

#include <cstdio>
#include <thread>

namespace {

constexpr unsigned kWorkers = 6;
constexpr int kRounds = 50;  // one round shows a race about one time in three
pthread_barrier_t together;

template <class... Arguments>
void run(void (*kernel)(Arguments...), std::type_identity_t<Arguments>... arguments) {
    std::vector<std::thread> workers;
    for (unsigned worker = 0; worker < kWorkers; ++worker) {
        workers.emplace_back([=] {
#ifdef FLARE_ONE_BLOCK
            flare::grid_size = {1, 1, 1};
            flare::block_size = {kWorkers, 1, 1};
            flare::block_index = {0, 0, 0};
            flare::thread_index = {worker, 0, 0};
#else
            flare::grid_size = {kWorkers, 1, 1};
            flare::block_size = {1, 1, 1};
            flare::block_index = {worker, 0, 0};
            flare::thread_index = {0, 0, 0};
#endif
            kernel(arguments...);
        });
    }
    for (std::thread& worker : workers) worker.join();
}

}  // namespace

void flare::barrier() {
#ifdef FLARE_ONE_BLOCK
    pthread_barrier_wait(&together);
#endif
}

int main() {
    pthread_barrier_init(&together, nullptr, kWorkers);
    constexpr int z = 41, y = 2, x = 3;  // as many columns as workers
    std::vector<float> image(z * y * x);
    std::vector<short> hu(z * y * x);
    std::vector<unsigned char> labels(z * y * x);
    constexpr int kWide = 300;  // one label has no row in a block's table
    std::vector<unsigned short> wide(z * y * x);
    for (int i = 0; i < z * y * x; ++i) {
        image[i] = hu[i] = (short)(i * 7 % 11 - 5);
        labels[i] = (unsigned char)(i * i / 5 % 3);
        wide[i] = labels[i] == 2 ? kWide - 1 : labels[i];
    }
    unsigned ranges[2] = {0xffffffffu, 0u}, ranges_hu[2] = {0xffffffffu, 0u};
    int box[6] = {99, 99, 99, -1, -1, -1}, box_hu[6] = {99, 99, 99, -1, -1, -1};
    int extents[3][6] = {{99, 99, 99, -1, -1, -1}, {99, 99, 99, -1, -1, -1}, {99, 99, 99, -1, -1, -1}}, highest = 0;
    unsigned long long voxels[3] = {0, 0, 0};
    int extents_wide[kWide][6] = {};
    std::vector<unsigned long long> voxels_wide(kWide);
    for (int round = 0; round < kRounds; ++round) {
        run(range_float32, image.data(), ranges, image.size());
        run(range_int16, hu.data(), ranges_hu, hu.size());
        run(box_float32, image.data(), box, z, y, x, z);
        run(box_int16, hu.data(), box_hu, z, y, x, z);
        run(bounds_uint8, labels.data(), extents[0], voxels, &highest, 3, z, y, x, z);
        run(bounds_uint16, wide.data(), extents_wide[0], voxels_wide.data(), &highest, kWide, z, y, x, z);
    }
    std::printf("range %g %g box %d %d %d voxels %llu\n", value_of(ranges[0]), value_of(ranges_hu[1]), box[3], box_hu[4],
                extents[0][5], voxels[0] + voxels[1] + voxels_wide[kWide - 1]);
}
