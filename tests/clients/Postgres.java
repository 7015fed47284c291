// Asks a PostgreSQL server as JDBC's users do, and as tools do that draw what tables and columns there are;
// prints a line for each question. The server's port, the user and the password are the arguments.

import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.List;

public class Postgres {
    interface Question {
        Object ask() throws SQLException;
    }

    static void show(String name, Question question) {
        try {
            System.out.println(name + ": " + question.ask());
        } catch (SQLException error) {
            System.out.println(name + ": " + error.getSQLState());
        }
    }

    static List<String> column(ResultSet rows, int column) throws SQLException {
        List<String> values = new ArrayList<>();
        while (rows.next()) {
            values.add(rows.getString(column));
        }
        return values;
    }

    public static void main(String[] arguments) throws SQLException {
        String address = "jdbc:postgresql://127.0.0.1:" + arguments[0] + "/traildex";
        Connection connection = DriverManager.getConnection(address, arguments[1], arguments[2]);
        String ids = "SELECT eventid FROM cloudtrail ";
        show("text", () -> {
            PreparedStatement asked = connection.prepareStatement(ids + "WHERE eventname = ? LIMIT ?");
            List<String> found = null;
            // From the fifth time on, the driver takes the binary form.
            for (int time = 0; time < 8; time++) {
                asked.setString(1, "GetObject");
                asked.setInt(2, 3);
                found = column(asked.executeQuery(), 1);
            }
            return found;
        });
        show("time", () -> {
            PreparedStatement asked =
                connection.prepareStatement(ids + "WHERE eventtime >= ? ORDER BY eventtime");
            asked.setObject(1, LocalDateTime.of(2023, 7, 12, 0, 0));
            return column(asked.executeQuery(), 1);
        });
        show("in parts", () -> {
            connection.setAutoCommit(false);
            Statement asked = connection.createStatement();
            asked.setFetchSize(2);
            List<String> found = column(asked.executeQuery(ids + "ORDER BY eventtime"), 1);
            connection.setAutoCommit(true);
            return found;
        });
        DatabaseMetaData about = connection.getMetaData();
        String[] kinds = {"TABLE", "VIEW"};
        show("schemas", () -> column(about.getSchemas(), 1).contains("public"));
        show("tables", () -> column(about.getTables(null, "public", "%", kinds), 3).contains("cloudtrail"));
        show("columns", () -> column(about.getColumns(null, "public", "cloudtrail", "%"), 4).size());
        show("keys", () -> column(about.getPrimaryKeys(null, "public", "cloudtrail"), 4));
        show("references", () -> column(about.getImportedKeys(null, "public", "cloudtrail"), 4));
        show("indexes", () -> column(about.getIndexInfo(null, "public", "cloudtrail", false, false), 6));
        show("types", () -> column(about.getTypeInfo(), 1).contains("text"));
        show("procedures", () -> column(about.getProcedures(null, "public", "%"), 3));
        show("stopped", () -> {
            Statement asked = connection.createStatement();
            asked.setQueryTimeout(1);
            return column(asked.executeQuery("SELECT count(*) FROM generate_series(1, 1000000000000)"), 1);
        });
        show("stopped, of the tables", () -> {
            Statement asked = connection.createStatement();
            asked.setQueryTimeout(1);
            return column(
                asked.executeQuery("SELECT count(*) FROM cloudtrail, generate_series(1, 1000000000000)"), 1);
        });
        show("valid", () -> connection.isValid(5));
        connection.close();
    }
}
