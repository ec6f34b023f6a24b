/* refunc compare --ab: runs two commands in turn and gives their reports. */
#pragma once

#include "cli/settings.h"
#include "report/model.h"

#define RF_AB_MOST 1000

/*
 * Runs argv from args->next on ("CMD_A ... -- CMD_B ...") rounds times each, A and B in turn, so that
 * whatever drifts on the machine meets both. Reports go to base and fresh, rounds each. RF_OK or a status,
 * said.
 */
int rf_compare_ab(struct rf_settings *settings, struct rf_args *args, long rounds, struct rf_report **base,
                  struct rf_report **fresh);
