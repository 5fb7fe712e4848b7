#include "blockrep/driver/daemon.hh"

#include <boost/json.hpp>

#include "base/io/control_client.hh"
#include "loop_fixture.hh"
#include "temporary_file.hh"

namespace blockrep {
namespace {

class DaemonTest : public LoopTest {
  protected:
    DaemonTest() {
        DaemonOptions options;
        options.config_path = file_.path();
        options.control_path = file_.path() + ".control";
        options.nbd_path = file_.path() + ".nbd";
        options.attach_path = file_.path() + ".attach";
        options.fencing = false;
        options.names = &names_;
        auto started = Daemon::start(loop_, std::move(options));
        EXPECT_TRUE(started) << started.error().message();
        daemon_ = *std::move(started);
    }

    TemporaryFile file_{4096};
    UnfencedNodeNames names_;
    std::unique_ptr<Daemon> daemon_;
};

// The mount witness asks just when mounts die, and so also while the daemon ends.
TEST_F(DaemonTest, RefusesQuestionsAboutClientsWhileItEnds) {
    std::vector<bool> answers;
    base::ControlStream::Callbacks callbacks;
    callbacks.received = [&](const boost::json::object& line) {
        answers.push_back(line.at("ok").as_bool());
        if (answers.size() == 2) done();
    };
    callbacks.closed = [](const base::Error& why) { ADD_FAILURE() << why.message(); };
    auto stream = base::ControlStream::connect(loop_, file_.path() + ".control", callbacks);
    ASSERT_TRUE(stream) << stream.error().message();
    daemon_->shut_down(base::Duration::seconds(5), [] {});
    (*stream)->send({{"command", "clients"}});
    (*stream)->send({{"command", "wait-drained"}, {"client", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"}});
    run_until_done();
    EXPECT_EQ(answers, (std::vector<bool>{false, false}));
}

}  // namespace
}  // namespace blockrep
