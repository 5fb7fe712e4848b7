// A named place in a core, counted. The simulators print the counts, so that a fault that is never met shows.
#pragma once

#include <cstdint>

namespace base {

// To be defined at namespace scope; not for two threads at once (a core is behind one lock).
class Probe {
  public:
    explicit Probe(const char* name) : name_(name), next_(list()) { list() = this; }
    Probe(const Probe&) = delete;
    Probe& operator=(const Probe&) = delete;

    void hit() { ++count_; }
    const char* name() const { return name_; }
    std::uint64_t count() const { return count_; }
    // All of the program, in no order.
    static const Probe* first() { return list(); }
    const Probe* next() const { return next_; }

  private:
    static Probe*& list() {
        static Probe* head = nullptr;
        return head;
    }

    const char* name_;
    Probe* next_;
    std::uint64_t count_ = 0;
};

}  // namespace base
