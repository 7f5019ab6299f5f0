// What was shown on a screen, for the record.
#pragma once

#include "measure/record.h"
#include "pipeline/presenter.h"

namespace clearframe {

// Ends the presenter: nothing more is to be shown. Throws what showing it ended with.
PresentRecord present_record(Presenter& presenter);

} // namespace clearframe
