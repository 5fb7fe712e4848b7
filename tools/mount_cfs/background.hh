// Going into the background only once the mount works: the caller gets its outcome, as mount(8) wants it.
#pragma once

#include <string>

#include "base/io/file_descriptor.hh"

namespace mount_cfs {

// mount(8)'s exit codes.
inline constexpr int exit_ok = 0;
inline constexpr int exit_usage = 1;
inline constexpr int exit_system = 2;
inline constexpr int exit_failed = 32;

// In the child: where the outcome is told. In the parent split() does not return.
class Caller {
  public:
    // Must be called before any thread is started. The parent waits for the child's word, prints it and ends with it.
    static Caller split();
    // Stays in the foreground: outcomes are only printed.
    static Caller foreground() { return {}; }

    void tell_mounted();
    // Nothing after tell_mounted().
    void tell_failed(const std::string& text);
    bool in_background() const { return background_; }

  private:
    void tell(int code, const std::string& text);

    base::FileDescriptor pipe_;
    bool background_ = false;
    bool told_ = false;
};

// Standard input and output, and standard error unless it is a file that somebody wants the log in. Says whether it is.
bool detach_from_terminal();

}  // namespace mount_cfs
