// Everything that the fencing core asks its driver to do, in order.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "fencing/core/event.hh"

namespace fencing {

struct Multicast {
    Message message;
};

enum class AgentAction { off, on, status };
const char* text_of(AgentAction action);

// Runs the agent of `device`; AgentFinished follows, at the latest at the device's timeout.
struct RunAgent {
    RunId run = 0;
    base::NodeId victim;
    std::string device;
    AgentAction action = AgentAction::status;
};

// Tell every subscriber. Given once for each life; again for nil incarnations, each time one was asked for.
struct ReportFenced {
    base::NodeIncarnation dead;
};

// Append to the file. Given once for each entry.
struct RecordHistory {
    HistoryEntry entry;
};

struct AnswerOperator {
    QuestionId question = 0;
    bool ok = false;
    std::string text;
};

// Since it was asked there was a moment when nobody was missing (Fencer::missing), by news at least as new as whatever
// the group had told the asker. Given once for each question; not as long as somebody is missing.
struct AnswerAbsence {
    QuestionId question = 0;
};

// The group holds this very life for dead: the machine must not go on writing.
struct ReportOwnDeath {};

// For the log.
struct Note {
    std::string line;
};

using Action =
    std::variant<Multicast, RunAgent, ReportFenced, RecordHistory, AnswerOperator, AnswerAbsence, ReportOwnDeath, Note>;
using Actions = std::vector<Action>;

}  // namespace fencing
