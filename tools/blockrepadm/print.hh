// The answers of blockrepd as text for people, in drbdadm's words.
#pragma once

#include <boost/json/fwd.hpp>
#include <string>

std::string status_text(const boost::json::object& resource);
std::string role_text(const boost::json::object& resource);              // Primary/Secondary
std::string connection_state_text(const boost::json::object& resource);  // Connected
std::string disk_state_text(const boost::json::object& resource);        // UpToDate/UpToDate
