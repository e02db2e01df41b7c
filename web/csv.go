package web

import (
	"encoding/csv"
	"strings"

	"github.com/labstack/echo/v4"
)

// asCSV makes the answer a file of CSV.
func asCSV(c echo.Context, name string) {
	c.Response().Header().Set(echo.HeaderContentType, "text/csv; charset=utf-8")
	c.Response().Header().Set(echo.HeaderContentDisposition, `attachment; filename="`+name+`"`)
}

// writeRows writes rows as RFC 4180 has them, without formulas, and has them sent.
func writeRows(out *csv.Writer, rows ...[]string) error {
	for _, row := range rows {
		if err := out.Write(mapAll(row, neutral)); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// neutral keeps a spreadsheet from running a cell as a formula: user names and
// user agents are chosen by strangers.
func neutral(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}
