#include "base/io/cpu_latency.hh"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <vector>

namespace {

using base::CpuLatencyRequest;

constexpr std::int32_t nothing = -1;
constexpr auto longer_than_window = std::chrono::nanoseconds(CpuLatencyRequest::window.nanoseconds * 2);

void arrive(std::uint64_t times) {
    for (std::uint64_t i = 0; i < times; ++i) base::note_arrival();
}

// A file stands for the kernel's device: what was asked for, one after the other.
class CpuLatency : public ::testing::Test {
  protected:
    void SetUp() override { std::ofstream{path_}; }
    void TearDown() override { std::filesystem::remove(path_); }

    std::vector<std::int32_t> asked() const {
        std::vector<std::int32_t> all(std::filesystem::file_size(path_) / sizeof(std::int32_t));
        std::ifstream(path_).read(reinterpret_cast<char*>(all.data()),
                                  static_cast<std::streamsize>(all.size() * sizeof(std::int32_t)));
        return all;
    }
    // Gives up after 10 s.
    bool becomes(std::size_t count, std::uint64_t arrivals_meanwhile) const {
        for (int tries = 0; tries < 10000 && asked().size() < count; ++tries) {
            arrive(arrivals_meanwhile);
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return asked().size() >= count;
    }

    const std::string path_ = std::filesystem::temp_directory_path() / ("cpu_latency." + std::to_string(::getpid()));
};

TEST_F(CpuLatency, IsAskedForWhileMuchArrivesAndWithdrawnAfter) {
    CpuLatencyRequest request(path_);
    EXPECT_EQ(asked(), std::vector{nothing});
    ASSERT_TRUE(becomes(2, 2 * CpuLatencyRequest::burst));
    EXPECT_GE(asked()[1], 0);
    EXPECT_LE(asked()[1], 2);
    ASSERT_TRUE(becomes(3, 0));
    EXPECT_EQ(asked()[2], nothing);
    ASSERT_TRUE(becomes(4, 2 * CpuLatencyRequest::burst)) << "and once more";
}

TEST_F(CpuLatency, IsNotAskedForWhenLittleArrives) {
    CpuLatencyRequest request(path_);
    for (int i = 0; i < 4; ++i) {
        arrive(CpuLatencyRequest::burst);
        std::this_thread::sleep_for(longer_than_window);
    }
    EXPECT_EQ(asked(), std::vector{nothing});
}

TEST_F(CpuLatency, EndsInTheMiddleOfABurst) {
    {
        CpuLatencyRequest request(path_);
        ASSERT_TRUE(becomes(2, 2 * CpuLatencyRequest::burst));
    }
    EXPECT_EQ(asked().back(), nothing);
    const auto before = asked().size();
    arrive(100 * CpuLatencyRequest::burst);
    EXPECT_EQ(asked().size(), before);
}

TEST_F(CpuLatency, DoesWithoutADevice) {
    CpuLatencyRequest request(path_ + ".absent");
    arrive(100 * CpuLatencyRequest::burst);
    EXPECT_FALSE(std::filesystem::exists(path_ + ".absent"));
}

}  // namespace
