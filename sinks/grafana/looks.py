"""How panels look, as Grafana's JSON: field configuration and the options of each panel type."""

from typing import Any, Final

from sinks.grafana.panels import Column, Panel, Query, Scale, Unit, View

Json = dict[str, Any]
"""A JSON object on its way to Grafana."""

WORLD: Final = "public/maps/countries.geojson"
"""Every Grafana serves it itself: the map below ours needs no other server."""
BACKGROUND: Final = "#808080"
GAP_MS: Final = 300_000
"""A line is drawn across so long a gap."""


def ref_id(index: int) -> str:
    """Return the letter by which a panel names its queries."""
    return chr(ord("A") + index)


def field_config(panel: Panel) -> Json:
    """Return units, colours and names of a panel's columns."""
    return {"defaults": _defaults(panel), "overrides": [_override(column, panel.view) for column in panel.columns]}


def options(panel: Panel) -> Json:
    """Return the options of the panel's type."""
    match panel.view:
        case View.STAT:
            return {
                "colorMode": "background",
                "graphMode": "none",
                "textMode": "value",
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            }
        case View.TIME_SERIES:
            return {"legend": _legend(panel), "tooltip": {"mode": "multi", "sort": "desc"}}
        case View.TABLE:
            return {"showHeader": True, "cellHeight": "sm"}
        case View.BARS:
            return {
                "orientation": "horizontal",
                "xField": panel.series,
                "stacking": "normal" if panel.stacked else "none",
                "showValue": "auto",
                "legend": _legend(panel),
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        case View.HEAT_MAP:
            return _cells(panel)
        case View.MAP:
            return _map(panel)


def _defaults(panel: Panel) -> Json:
    made: Json = {
        "unit": panel.unit.value,
        "color": {"mode": "thresholds" if panel.scale else "palette-classic"},
        "custom": _custom(panel),
    }
    if panel.scale is not None:
        made["thresholds"] = _thresholds(panel.scale)
    if panel.view.by_time:
        made["displayName"] = f"${{__field.labels.{panel.series}}}"
    if panel.decimals is not None:
        made["decimals"] = panel.decimals
    return made


def _custom(panel: Panel) -> Json:
    match panel.view:
        case View.TIME_SERIES:
            return {
                "drawStyle": "bars" if panel.stacked else "line",
                "lineWidth": 1,
                "fillOpacity": 60 if panel.stacked else 10,
                "showPoints": "auto",
                "spanNulls": GAP_MS,
                "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
            }
        case View.TABLE:
            return {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": True}
        case View.BARS:
            return {"fillOpacity": 80, "lineWidth": 1}
        case _:
            return {}


def _override(column: Column, view: View) -> Json:
    properties: list[Json] = []
    if column.unit is not None:
        properties.append({"id": "unit", "value": column.unit.value})
    if column.scale is not None:
        properties.append({"id": "thresholds", "value": _thresholds(column.scale)})
        properties.append({"id": "color", "value": {"mode": "thresholds"}})
        if column.scale.names:
            named = {str(value): {"text": text, "index": i} for i, (value, text) in enumerate(column.scale.names)}
            properties.append({"id": "mappings", "value": [{"type": "value", "options": named}]})
    if column.colours:
        coloured = {text: {"color": colour, "index": i} for i, (text, colour) in enumerate(column.colours)}
        properties.append({"id": "mappings", "value": [{"type": "value", "options": coloured}]})
    if view is View.TABLE and (column.colours or column.scale):
        properties.append({"id": "custom.cellOptions", "value": {"type": "color-background", "mode": "basic"}})
    if column.width_px is not None:
        properties.append({"id": "custom.width", "value": column.width_px})
    if column.bar_colour:
        properties.append({"id": "color", "value": {"mode": "fixed", "fixedColor": column.bar_colour}})
    return {"matcher": {"id": "byName", "options": column.name}, "properties": properties}


def _thresholds(scale: Scale) -> Json:
    return {"mode": "absolute", "steps": [{"value": step.from_value, "color": step.colour} for step in scale.steps]}


def _legend(panel: Panel) -> Json:
    if panel.legend_table:
        return {"showLegend": True, "displayMode": "table", "placement": "right", "calcs": ["lastNotNull", "mean"]}
    return {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []}


def _cells(panel: Panel) -> Json:
    return {
        "calculate": False,
        "cellGap": 1,
        "color": {"mode": "scheme", "scheme": panel.cells, "steps": 64, "reverse": False},
        "cellValues": {"unit": panel.unit.value},
        "rowsFrame": {"layout": "auto"},
        "filterValues": {"le": -1},
        "yAxis": {"axisPlacement": "left", "unit": Unit.NONE.value},
        "legend": {"show": True},
        "tooltip": {"show": True, "yHistogram": False},
    }


def _map(panel: Panel) -> Json:
    grey = {"color": {"fixed": BACKGROUND}, "opacity": 0.1, "size": {"fixed": 1}, "lineWidth": 1}
    return {
        "view": {"id": "fit", "allLayers": False, "layer": panel.queries[0].name, "lat": 0, "lon": 0, "zoom": 14},
        "controls": {"showZoom": True, "mouseWheelZoom": True, "showAttribution": False, "showScale": True},
        "tooltip": {"mode": "details"},
        "basemap": {"type": "geojson", "name": "land", "config": {"src": WORLD, "rules": [], "style": grey}},
        "layers": [_markers(query, ref_id(index)) for index, query in enumerate(panel.queries)],
    }


def _markers(query: Query, ref: str) -> Json:
    style: Json = {
        "color": {"field": query.coloured_by} if query.coloured_by else {"fixed": BACKGROUND},
        "opacity": 0.9 if query.coloured_by else 0.4,
        "size": {"fixed": query.size_px},
        "symbol": {"mode": "fixed", "fixed": "img/icons/marker/circle.svg"},
    }
    if query.labelled_by:
        style["text"] = {"mode": "field", "field": query.labelled_by, "fixed": ""}
        style["textConfig"] = {"fontSize": 11, "offsetX": 0, "offsetY": -14, "textAlign": "center"}
    return {
        "type": "markers",
        "name": query.name,
        "filterData": {"id": "byRefId", "options": ref},
        "location": {"mode": "coords", "latitude": "latitude", "longitude": "longitude"},
        "tooltip": bool(query.coloured_by),
        "config": {"showLegend": bool(query.coloured_by), "style": style},
    }
