#include "threads.h"

#ifdef __linux__
#include <pthread.h>
#include <sched.h>
#endif

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace flare {

namespace {

using Work = std::function<void(int64_t, int)>;

std::atomic<int> wanted_threads{0};

int processors() {
#ifdef __linux__
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return std::max(1, CPU_COUNT(&allowed));
#endif
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

// A loop that several threads share. `helpers` are the pool's threads inside it; guarded by the pool's mutex.
struct Loop {
    const Work& work;
    const int64_t count;
    std::atomic<int64_t> next{0};
    int helpers = 0;

    void take_part(int thread) {
        for (int64_t index; (index = next.fetch_add(1)) < count;) work(index, thread);
    }
};

// An invitation into a loop, as its thread number `thread`.
struct Ticket {
    Loop* loop;
    int thread;
};

// Threads that sleep until there are tickets. A caller takes back the tickets that nobody used by the time it has run out
// of work, so that it never waits for threads that are busy elsewhere, or that a fork has left behind.
class Pool {
 public:
    void run(Loop& loop, int threads) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            for (; started_ < threads - 1; ++started_) std::thread([this] { serve(); }).detach();
            for (int thread = 1; thread < threads; ++thread) tickets_.push_back({&loop, thread});
        }
        work_came_.notify_all();
        loop.take_part(0);
        std::unique_lock<std::mutex> lock(mutex_);
        const auto is_ours = [&](const Ticket& ticket) { return ticket.loop == &loop; };
        tickets_.erase(std::remove_if(tickets_.begin(), tickets_.end(), is_ours), tickets_.end());
        helper_left_.wait(lock, [&] { return loop.helpers == 0; });
    }

 private:
    void serve() {
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            work_came_.wait(lock, [this] { return !tickets_.empty(); });
            const Ticket ticket = tickets_.front();
            tickets_.pop_front();
            ++ticket.loop->helpers;
            lock.unlock();
            ticket.loop->take_part(ticket.thread);
            lock.lock();
            if (--ticket.loop->helpers == 0) helper_left_.notify_all();
        }
    }

    std::mutex mutex_;
    std::condition_variable work_came_, helper_left_;
    std::deque<Ticket> tickets_;
    int started_ = 0;
};

// Never destroyed, as its sleeping threads outlive main. A forked child has no threads and starts with a new one.
Pool& pool() {
    static Pool* current = new Pool;
#ifdef __linux__
    static const int registered = pthread_atfork(nullptr, nullptr, [] { current = new Pool; });
    static_cast<void>(registered);
#endif
    return *current;
}

}  // namespace

void set_threads(int threads) { wanted_threads = std::max(0, threads); }

Team::Team() : size_(wanted_threads > 0 ? wanted_threads.load() : processors()) {}

void Team::run(int64_t count, const Work& work) const {
    const int threads = static_cast<int>(std::min<int64_t>(size_, count));
    Loop loop{work, count};
    if (threads <= 1) return loop.take_part(0);
    pool().run(loop, threads);
}

}  // namespace flare
