#include "threads.h"

#include <omp.h>

#include <algorithm>
#include <atomic>

namespace flare {

namespace {
std::atomic<int> wanted{0};
}

void set_threads(int threads) { wanted = threads; }

Team::Team() : size_(wanted > 0 ? wanted.load() : std::max(1, omp_get_num_procs())) {}

int Team::thread_index() { return omp_get_thread_num(); }

}  // namespace flare
