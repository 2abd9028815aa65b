import "./fonts.css";
import "uplot/dist/uPlot.min.css";
import "./style.css";
import "./widgets/widgets.css";
import "./plot/plot.css";
import "./image/image.css";
import "./trend/trend.css";
import "./alarms/alarms.css";
