#include "commands/doctor_report.h"

#include "commands/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace clearframe {
namespace {

constexpr std::size_t sentence_column = 12; // after "  attention "

Style style_of(Health health) {
    switch (health) {
    case Health::good:
        return Style::good;
    case Health::attention:
        return Style::attention;
    case Health::missing:
        break;
    }
    return Style::bad;
}

std::string spaces(std::size_t count) { return std::string(count, ' '); }

void report_finding(Terminal& out, const Finding& finding, std::size_t width) {
    const std::size_t room = width - sentence_column;
    const std::string_view health = health_name(finding.health);
    std::string before = "  " + out.styled(health, style_of(finding.health)) +
                         spaces(sentence_column - 2 - health.size());
    for (const std::string& line : wrapped(finding.subject + ": " + finding.sentence, room)) {
        out.line(before + line);
        before = spaces(sentence_column);
    }
    if (finding.mend.empty())
        return;
    before += "-> ";
    for (const std::string& line : wrapped(finding.mend, room - 3)) {
        out.line(before + line);
        before = spaces(sentence_column + 3);
    }
}

void add_once(std::vector<std::string>& names, const std::string& name) {
    if (std::find(names.begin(), names.end(), name) == names.end())
        names.push_back(name);
}

// Importers down, heaps across; why not, in notes below.
void report_matrix(Terminal& out, const DoctorRecord& record, std::size_t width) {
    std::vector<ImportTrial> trials;
    std::vector<std::string> heaps, importers, notes;
    for (const DoctorSection& section : record.sections)
        for (const ImportTrial& trial : section.report.trials) {
            trials.push_back(trial);
            add_once(heaps, trial.heap);
            add_once(importers, trial.importer);
        }
    if (trials.empty())
        return;
    out.line("");
    out.line(out.styled("import matrix: who takes memory of which heap", Style::bold));

    constexpr std::size_t gap = 2, narrowest_cell = 7; // "no [12]"
    std::size_t cells = 0;
    for (const std::string& heap : heaps)
        cells += gap + std::max(columns(heap), narrowest_cell);
    std::size_t names = 0;
    for (const std::string& importer : importers)
        names = std::max(names, columns(importer));
    names = std::min(names, width > 2 + 16 + cells ? width - 2 - cells : 16);

    std::string head = spaces(2 + names);
    for (const std::string& heap : heaps)
        head += fmt::format("{}{:<{}}", spaces(gap), heap, narrowest_cell);
    out.line(out.styled(head.substr(0, head.find_last_not_of(' ') + 1), Style::dim));
    for (const std::string& importer : importers) {
        const std::string name = fitted(importer, names);
        std::string row = "  " + name;
        std::size_t pad = names - columns(name);
        for (const std::string& heap : heaps) {
            const auto trial = std::find_if(trials.begin(), trials.end(), [&](const auto& tried) {
                return tried.heap == heap && tried.importer == importer;
            });
            std::string cell = "-";
            Style style = Style::dim;
            if (trial != trials.end() && trial->imported()) {
                cell = "yes";
                style = Style::good;
            } else if (trial != trials.end()) {
                add_once(notes, trial->error);
                const auto note = std::find(notes.begin(), notes.end(), trial->error);
                cell = fmt::format("no [{}]", note - notes.begin() + 1);
                style = Style::attention;
            }
            row += spaces(pad + gap) + out.styled(cell, style);
            pad = std::max(columns(heap), narrowest_cell) - columns(cell);
        }
        out.line(row);
    }
    for (std::size_t i = 0; i < notes.size(); ++i) {
        const std::string number = fmt::format("  [{}] ", i + 1);
        std::string before = number;
        for (const std::string& line : wrapped(notes[i], width - number.size())) {
            out.line(before + line);
            before = spaces(number.size());
        }
    }
}

void report_verdict(Terminal& out, const DoctorRecord& record, std::size_t width) {
    const RealPath path = record.real_path();
    out.line("");
    for (const std::string& line : wrapped(verdict(path), width))
        out.line(out.styled(line, path.whole ? Style::good : Style::attention));
}

} // namespace

void report_doctor(Terminal& out, const DoctorRecord& record, std::size_t width) {
    bool first = true;
    for (const DoctorSection& section : record.sections) {
        if (!first)
            out.line("");
        first = false;
        out.line(out.styled(section.name, Style::bold));
        for (const Finding& finding : section.report.findings)
            report_finding(out, finding, width);
    }
    report_matrix(out, record, width);
    report_verdict(out, record, width);
}

} // namespace clearframe
