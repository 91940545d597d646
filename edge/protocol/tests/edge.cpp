// A small edge in C++20, written from docs/protocol.md alone: readings in, records out.
//
//   edge VIN STREAM_ID CATALOGUE KEYFRAME_EVERY < readings.csv > records.bin
//
// The CSV has a column t_s, columns named like signals, and may have extra.NAME, label.NAME and keyframe_requested.
// An empty cell is a sensor without a value. Each record is written with its length in front (4 bytes, little-endian).

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

static_assert(std::endian::native == std::endian::little);

struct Signal {
  int number;
  const char* name;
  double low, high;
  int64_t steps;
  double standard, tight;
};

constexpr Signal kSignals[] = {
    {6, "speed", -100, 500, 100, 1, 0.5},
    {7, "battery", 0, 100, 1000, 0.25, 0.1},
    {8, "power", -5000, 5000, 1000, 1, 0.25},
    {9, "heading", 0, 360, 100, 5, 2},
    {10, "latitude", -90, 90, 10000000, 4.5e-05, 1e-05},
    {11, "longitude", -180, 180, 10000000, 4.5e-05, 1e-05},
    {12, "voltage", -2000, 2000, 100, 1, 0.5},
    {13, "current", -5000, 5000, 100, 2, 0.5},
    {14, "odometer", 0, 10000000, 1000, 0.05, 0.01},
    {16, "altitude", -1000, 10000, 10, 3, 1},
    {17, "rpm", -40000, 40000, 10, 50, 25},
    {18, "battery_temperature", -80, 200, 100, 0.5, 0.25},
    {19, "motor_temperature", -80, 400, 100, 1, 0.5},
    {20, "cabin_temperature", -80, 120, 100, 0.5, 0.25},
    {21, "outdoor_temperature", -80, 80, 100, 0.5, 0.25},
    {22, "coolant_temperature", -80, 300, 100, 1, 0.5},
    {23, "acceleration", -200, 200, 1000, 0.2, 0.05},
    {24, "throttle", -10, 110, 100, 2, 1},
    {25, "torque", -50000, 50000, 100, 5, 1},
    {26, "ignition", 0, 1, 1, 0, 0},
    {27, "charging", 0, 1, 1, 0, 0},
    {28, "range", 0, 5000, 10, 1, 0.5},
    {29, "fuel_level", 0, 110, 100, 1, 0.5},
    {30, "engine_load", 0, 300, 100, 2, 1},
    {31, "aux_voltage", 0, 100, 1000, 0.1, 0.05},
    {32, "intake_temperature", -80, 300, 100, 1, 0.5},
    {33, "air_flow", 0, 2000, 100, 0.5, 0.25},
    {34, "lateral_acceleration", -200, 200, 1000, 0.2, 0.05},
    {35, "yaw_rate", -1000, 1000, 100, 2, 0.5},
    {36, "hvac_power", -100, 100, 1000, 0.1, 0.05},
};
constexpr int kHeading = 9, kIgnition = 26, kCharging = 27;

uint32_t Crc32(const std::string& bytes) {
  uint32_t crc = 0xFFFFFFFF;
  for (unsigned char byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0xEDB88320u : 0u);
  }
  return ~crc;
}

template <typename T>
void PutRaw(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void PutText(std::string& out, const std::string& text) {
  PutRaw(out, static_cast<uint32_t>(text.size()));
  out += text;
}

void PutVarint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

void PutTag(std::string& out, int number, int wire) { PutVarint(out, static_cast<uint64_t>(number * 8 + wire)); }

template <typename T>  // wire type 1 for 8 bytes, 5 for 4
void PutFixed(std::string& out, int number, T value) {
  PutTag(out, number, sizeof value == 8 ? 1 : 5);
  PutRaw(out, value);
}

void PutBytes(std::string& out, int number, const std::string& bytes) {
  PutTag(out, number, 2);
  PutVarint(out, bytes.size());
  out += bytes;
}

struct Record {
  std::string vin, catalogue;
  double timestamp = 0;
  uint64_t stream_id = 0, sequence = 0;
  bool keyframe = false;
  uint32_t omitted = 0, state_crc = 0;
  std::map<int, double> signals;
  std::vector<uint32_t> unavailable;
  std::map<std::string, double> extra;
  std::map<std::string, std::string> labels;

  uint32_t ContentCrc() const {
    std::string covered;
    PutRaw(covered, timestamp);
    PutRaw(covered, stream_id);
    PutRaw(covered, sequence);
    PutRaw(covered, static_cast<uint8_t>(keyframe));
    PutRaw(covered, omitted);
    PutRaw(covered, state_crc);
    uint64_t mask = 0;
    for (const auto& [number, value] : signals) mask |= uint64_t{1} << number;
    PutRaw(covered, mask);
    for (const auto& [number, value] : signals) PutRaw(covered, value);
    PutText(covered, vin);
    PutText(covered, catalogue);
    PutRaw(covered, static_cast<uint32_t>(unavailable.size()));
    for (uint32_t number : unavailable) PutRaw(covered, number);
    PutRaw(covered, static_cast<uint32_t>(extra.size()));
    for (const auto& [name, value] : extra) PutText(covered, name), PutRaw(covered, value);
    PutRaw(covered, static_cast<uint32_t>(labels.size()));
    for (const auto& [name, word] : labels) PutText(covered, name), PutText(covered, word);
    return Crc32(covered);
  }

  std::string Bytes() const {
    std::string out;
    if (!vin.empty()) PutBytes(out, 1, vin);
    if (timestamp != 0) PutFixed(out, 2, timestamp);
    if (stream_id != 0) PutFixed(out, 3, stream_id);
    if (sequence != 0) PutTag(out, 4, 0), PutVarint(out, sequence);
    if (keyframe) PutTag(out, 5, 0), PutVarint(out, 1);
    for (const auto& [number, value] : signals) PutFixed(out, number, value);
    if (!catalogue.empty()) PutBytes(out, 40, catalogue);
    if (omitted != 0) PutTag(out, 41, 0), PutVarint(out, omitted);
    if (!unavailable.empty()) {
      std::string packed;
      for (uint32_t number : unavailable) PutVarint(packed, number);
      PutBytes(out, 42, packed);
    }
    if (state_crc != 0) PutFixed(out, 43, state_crc);
    if (uint32_t crc = ContentCrc(); crc != 0) PutFixed(out, 44, crc);
    for (const auto& [name, value] : extra) {
      std::string entry;
      PutBytes(entry, 1, name);
      PutFixed(entry, 2, value);
      PutBytes(out, 45, entry);
    }
    for (const auto& [name, word] : labels) {
      std::string entry;
      PutBytes(entry, 1, name);
      PutBytes(entry, 2, word);
      PutBytes(out, 46, entry);
    }
    return out;
  }
};

struct Moment {
  double timestamp = 0;
  std::map<std::string, double> readings, extra;
  std::map<std::string, std::string> labels;
  bool keyframe_requested = false;
};

class Edge {
 public:
  Edge(std::string vin, uint64_t stream_id, std::string catalogue, uint64_t keyframe_every)
      : vin_(std::move(vin)), catalogue_(std::move(catalogue)), stream_id_(stream_id), keyframe_every_(keyframe_every) {}

  Record Next(const Moment& moment) {
    Record record;
    record.vin = vin_;
    record.timestamp = moment.timestamp;
    record.stream_id = stream_id_;
    record.sequence = ++sequence_;
    record.extra = moment.extra;
    record.labels = moment.labels;
    std::map<int, double> values;
    for (const Signal& signal : kSignals) {
      auto found = moment.readings.find(signal.name);
      if (found == moment.readings.end()) continue;
      if (found->second >= signal.low && found->second <= signal.high) values[signal.number] = found->second;
    }
    record.keyframe = moment.keyframe_requested || (sequence_ - 1) % keyframe_every_ == 0;
    if (record.keyframe) {
      record.catalogue = catalogue_;
      state_.clear();
    }
    std::erase_if(state_, [&](const auto& known) {
      if (values.contains(known.first)) return false;
      record.unavailable.push_back(static_cast<uint32_t>(known.first));
      return true;
    });
    for (const Signal& signal : kSignals) {
      if (auto value = values.find(signal.number); value != values.end()) Put(record, signal, value->second);
    }
    record.state_crc = StateCrc();
    return record;
  }

 private:
  void Put(Record& record, const Signal& signal, double reading) {
    const double steps = static_cast<double>(signal.steps);
    auto known = state_.find(signal.number);
    if (known != state_.end()) {
      double off = std::fabs(reading - static_cast<double>(known->second) / steps);
      if (signal.number == kHeading && off > 180) off = 360 - off;
      if (off <= (catalogue_ == "standard-1" ? signal.standard : signal.tight)) {
        ++record.omitted;
        return;
      }
    }
    const auto value = static_cast<int64_t>(std::floor(reading * steps + 0.5));
    record.signals[signal.number] = static_cast<double>(value) / steps;
    const bool smooth = catalogue_ == "document-1" && signal.number != kIgnition && signal.number != kCharging;
    if (known == state_.end() || !smooth) {
      state_[signal.number] = value;
    } else {
      known->second += (77 * (value - known->second) + 128) >> 8;
    }
  }

  uint32_t StateCrc() const {
    std::string covered;
    for (const auto& [number, state] : state_) covered.push_back(static_cast<char>(number));
    for (const auto& [number, state] : state_) PutRaw(covered, state);
    return Crc32(covered);
  }

  std::string vin_, catalogue_;
  uint64_t stream_id_, keyframe_every_, sequence_ = 0;
  std::map<int, int64_t> state_;
};

std::vector<std::string> Cells(const std::string& line) {
  std::vector<std::string> cells(1);
  for (char c : line) {
    if (c == ',') {
      cells.emplace_back();
    } else if (c != '\r') {
      cells.back().push_back(c);
    }
  }
  return cells;
}

Moment Read(const std::vector<std::string>& header, const std::vector<std::string>& cells) {
  Moment moment;
  for (size_t i = 0; i < header.size() && i < cells.size(); ++i) {
    const std::string &name = header[i], &cell = cells[i];
    if (cell.empty()) continue;
    if (name.starts_with("label.")) {
      moment.labels[name.substr(6)] = cell;
    } else if (const double number = std::strtod(cell.c_str(), nullptr); name == "t_s") {
      moment.timestamp = number;
    } else if (name == "keyframe_requested") {
      moment.keyframe_requested = number != 0;
    } else if (name.starts_with("extra.")) {
      moment.extra[name.substr(6)] = number;
    } else {
      moment.readings[name] = number;
    }
  }
  return moment;
}

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: edge VIN STREAM_ID CATALOGUE KEYFRAME_EVERY < readings.csv > records.bin\n";
    return 2;
  }
  Edge edge(argv[1], std::stoull(argv[2]), argv[3], std::stoull(argv[4]));
  std::string line;
  std::getline(std::cin, line);
  const auto header = Cells(line);
  while (std::getline(std::cin, line)) {
    const std::string bytes = edge.Next(Read(header, Cells(line))).Bytes();
    std::string prefix;
    PutRaw(prefix, static_cast<uint32_t>(bytes.size()));
    std::cout << prefix << bytes;
  }
  return std::cout.flush() ? 0 : 1;
}
