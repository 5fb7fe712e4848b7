#include "tests/sim/fencing/device.hh"

#include <algorithm>

namespace sim_fencing {
namespace {

using base::Duration;
constexpr auto timeout = Duration::seconds(20);

bool acts(DeviceMode mode, sim::Random& random) {
    switch (mode) {
        case DeviceMode::good:
        case DeviceMode::slow:
        case DeviceMode::late:
            return true;
        case DeviceMode::crash:
        case DeviceMode::strange:
            return random.one_in(2);
        case DeviceMode::fail:
        case DeviceMode::hang:
        case DeviceMode::stuck:
            return false;
    }
    return false;
}

}  // namespace

void Device::order(fencing::AgentAction action, const MayAct& may_act, Duration effect) {
    const auto number = next_order_++;
    under_way_.emplace(number, Order{action, may_act});
    scheduler_.after(effect, [this, number] {
        const auto order = under_way_.extract(number).mapped();
        if (order.may_act({})) power_.set(order.action == fencing::AgentAction::on);
    });
}

bool Device::will_switch_off(int without) const {
    return std::any_of(under_way_.begin(), under_way_.end(), [without](const auto& entry) {
        return entry.second.action == fencing::AgentAction::off && entry.second.may_act(without);
    });
}

Device::End Device::end_of(fencing::AgentAction action, DeviceMode mode) {
    using fencing::AgentExit;
    switch (mode) {
        case DeviceMode::fail:
            return {AgentExit::exited, 1};
        case DeviceMode::hang:
        case DeviceMode::late:
            return {AgentExit::timed_out, 9};
        case DeviceMode::crash:
            return {AgentExit::crashed, 11};
        case DeviceMode::strange:
            return {AgentExit::exited, static_cast<int>(random_.between(3, 200))};
        case DeviceMode::good:
        case DeviceMode::slow:
        case DeviceMode::stuck:
            break;
    }
    if (action != fencing::AgentAction::status) return {AgentExit::exited, 0};
    return {AgentExit::exited, power_.is_on() ? 0 : 2};
}

void Device::run(fencing::AgentAction action, const MayAct& may_act, std::function<void(End)> finished) {
    const auto mode = mode_;
    const auto longest = Duration::milliseconds(mode == DeviceMode::slow ? 600 : 150);
    const auto effect = random_.between(Duration::milliseconds(20), longest);
    if (action != fencing::AgentAction::status && acts(mode, random_)) order(action, may_act, effect);
    const bool silent = mode == DeviceMode::hang || mode == DeviceMode::late;
    // The answer tells what was so when it was made; it arrives a little later.
    scheduler_.after(effect + Duration::milliseconds(1), [this, action, mode, silent, finished] {
        const auto end = end_of(action, mode);
        scheduler_.after(silent ? timeout : random_.between(Duration{}, Duration::milliseconds(100)),
                         [finished, end] { finished(end); });
    });
}

}  // namespace sim_fencing
