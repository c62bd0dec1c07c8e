# SPDX-License-Identifier: Apache-2.0
"""One table of custom resources and what is wrong with them, for the API server and for the offline checks alike."""

from __future__ import annotations

from tests.unit.plugin_utils.spec.admission_access import ACCESS
from tests.unit.plugin_utils.spec.admission_libraries import LIBRARIES
from tests.unit.plugin_utils.spec.admission_pod_fields import POD_FIELDS
from tests.unit.plugin_utils.spec.admission_pods import ACCELERATION, COMPONENTS, ENVIRONMENT, NAMES, SHAPES
from tests.unit.plugin_utils.spec.admission_services import DATABASE, VALKEY, VOLUMES
from tests.unit.plugin_utils.spec.admission_settings import CONFIGURATION, INGRESS, TAKEN_OVER
from tests.unit.plugin_utils.spec.admission_variables import VARIABLES

__all__ = ["CASES"]

CASES = [
    *NAMES,
    *SHAPES,
    *COMPONENTS,
    *ACCELERATION,
    *ENVIRONMENT,
    *POD_FIELDS,
    *VARIABLES,
    *VOLUMES,
    *LIBRARIES,
    *DATABASE,
    *VALKEY,
    *ACCESS,
    *INGRESS,
    *CONFIGURATION,
    *TAKEN_OVER,
]
