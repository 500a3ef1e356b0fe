// A team of OpenMP threads for one kernel call, and one scratch buffer for each of its threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace flare {

// Threads of every later kernel call; 0 = one per processor that this process may use.
void set_threads(int threads);

class Team {
 public:
    Team();
    int size() const { return size_; }

    // Calls work(index, thread) for each index in [0, count), in any order. `work` must not throw: allocate before.
    template <class Work>
    void run(int64_t count, const Work& work) const {
#pragma omp parallel num_threads(size_) if (count > 1)
        {
            const int thread = thread_index();
#pragma omp for schedule(dynamic, 1)
            for (int64_t index = 0; index < count; ++index) work(index, thread);
        }
    }

 private:
    static int thread_index();
    int size_;
};

template <class T>
class PerThread {
 public:
    PerThread(const Team& team, size_t count) : buffers_(team.size(), std::vector<T>(count)) {}
    T* operator[](int thread) { return buffers_[thread].data(); }

 private:
    std::vector<std::vector<T>> buffers_;
};

}  // namespace flare
