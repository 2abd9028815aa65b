// Which function draws which type of widget.

import type { Container } from "./container";
import { drawImage } from "./image/image";
import { drawStripchart } from "./plot/stripchart";
import { drawXyplot } from "./plot/xyplot";
import { drawActionButton } from "./widgets/action_button";
import { drawBoolButton } from "./widgets/bool_button";
import { drawByteMonitor } from "./widgets/byte_monitor";
import { drawChoice, drawRadio } from "./widgets/choice";
import { drawCombo } from "./widgets/combo";
import { drawEmbedded } from "./widgets/embedded";
import { drawGroup } from "./widgets/group";
import { drawLabel } from "./widgets/label";
import { drawLed, drawMultiStateLed } from "./widgets/led";
import { drawMeter } from "./widgets/meter";
import { drawNavtabs, drawTabs } from "./widgets/tabs";
import { drawPicture } from "./widgets/picture";
import { drawProgressbar } from "./widgets/progressbar";
import { drawScaledSlider } from "./widgets/scaledslider";
import { drawEllipse, drawPolyline, drawRectangle } from "./widgets/shapes";
import { drawSpinner, drawTextentry } from "./widgets/textentry";
import { drawCheckbox, drawSlideButton } from "./widgets/toggle";
import { drawTank } from "./widgets/tank";
import { drawTextupdate } from "./widgets/textupdate";

export const WIDGETS: Readonly<Record<string, (widget: Container) => void>> = {
  action_button: drawActionButton,
  bool_button: drawBoolButton,
  byte_monitor: drawByteMonitor,
  checkbox: drawCheckbox,
  choice: drawChoice,
  combo: drawCombo,
  ellipse: drawEllipse,
  embedded: drawEmbedded,
  group: drawGroup,
  image: drawImage,
  label: drawLabel,
  led: drawLed,
  meter: drawMeter,
  multi_state_led: drawMultiStateLed,
  navtabs: drawNavtabs,
  picture: drawPicture,
  polyline: drawPolyline,
  progressbar: drawProgressbar,
  radio: drawRadio,
  rectangle: drawRectangle,
  scaledslider: drawScaledSlider,
  slide_button: drawSlideButton,
  spinner: drawSpinner,
  stripchart: drawStripchart,
  tabs: drawTabs,
  tank: drawTank,
  textentry: drawTextentry,
  textupdate: drawTextupdate,
  xyplot: drawXyplot,
};
